"""The formats that ``--format`` names, one module each, and the result in one of them.

To add a format: write its module with a function ``render(result, look)``, and enter it in ``_MODULES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from ipclab.errors import UnknownNameError
from ipclab.report.look import Look

if TYPE_CHECKING:
    from ipclab.results.result import Result


@dataclass(frozen=True, slots=True)
class Format:
    """``name`` is what ``--format`` takes.

    ``utf_8``  it is always UTF-8, because its readers expect nothing else.
    """

    name: str
    utf_8: bool = False


TABLE = Format("table")
JSON = Format("json", utf_8=True)
MARKDOWN = Format("md")
"""Formats that other things than a result have, too."""
_MODULES: Mapping[Format, str] = {
    TABLE: "terminal",
    JSON: "json",
    Format("csv"): "csv",
    MARKDOWN: "markdown",
    Format("html", utf_8=True): "html",
}
FORMATS = tuple(format_.name for format_ in _MODULES)
DEFAULT = FORMATS[0]


class _Renderer(Protocol):
    def render(self, result: Result, look: Look) -> str: ...


def named(name: str) -> Format:
    """Return the format of a result that has this name. Raises UnknownNameError."""
    for format_ in _MODULES:
        if format_.name == name:
            return format_
    raise UnknownNameError("format", name, FORMATS)


def formatted(result: Result, format_: str, look: Look | None = None) -> str:
    """Return the result as text that ends with a line break.

    The module of a format is imported when it is used. Raise UnknownNameError for an unknown format and
    ResultsError for an unreadable histogram.
    """
    module = importlib.import_module(f"ipclab.report.{_MODULES[named(format_)]}")
    return cast(_Renderer, module).render(result, look or Look())
