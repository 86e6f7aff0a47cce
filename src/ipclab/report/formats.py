"""The formats that ``--format`` names, one module each, and the result in one of them.

To add a format: write its module with a function ``render(result, look)``, and enter it here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from ipclab.errors import UnknownNameError
from ipclab.report.look import Look

if TYPE_CHECKING:
    from ipclab.results.result import Result

_MODULES = {
    "table": "terminal",
    "json": "json",
    "csv": "csv",
    "md": "markdown",
}
FORMATS = tuple(_MODULES)
DEFAULT = FORMATS[0]
UTF_8 = frozenset(("json",))
"""The formats that are always UTF-8, because their readers expect nothing else."""


class _Renderer(Protocol):
    def render(self, result: Result, look: Look) -> str: ...


def formatted(result: Result, format_: str, look: Look | None = None) -> str:
    """Return the result as text that ends with a line break.

    The module of a format is imported when it is used. Raise UnknownNameError for an unknown format and
    ResultsError for an unreadable histogram.
    """
    if format_ not in _MODULES:
        raise UnknownNameError("format", format_, FORMATS)
    module = importlib.import_module(f"ipclab.report.{_MODULES[format_]}")
    return cast(_Renderer, module).render(result, look or Look())
