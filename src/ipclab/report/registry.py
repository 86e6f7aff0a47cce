"""What an output format is, and the registry of the formats of a result, a comparison or a trend."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from ipclab.errors import UnknownNameError
from ipclab.report.look import Look

T = TypeVar("T")
C = TypeVar("C", contravariant=True)


@dataclass(frozen=True, slots=True)
class Format:
    """``name`` is what ``--format`` takes.

    ``utf_8``  it is always UTF-8, because its readers expect nothing else.
    """

    name: str
    utf_8: bool = False


TABLE = Format("table")
CSV = Format("csv")
JSON = Format("json", utf_8=True)
MARKDOWN = Format("md")
"""Formats that several kinds of things have."""


class _Renderer(Protocol[C]):
    def render(self, shown: C, look: Look, /) -> str: ...


class Formats(Generic[T]):
    """The formats of one kind of thing. ``modules`` has the module of each, in ``package``; the first is the
    default.

    A module has a function ``render(thing, look)`` and is imported when its format is used.
    """

    def __init__(self, package: str, modules: Mapping[Format, str]) -> None:
        self._package = package
        self._modules = modules

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of each format, the default one first."""
        return tuple(format_.name for format_ in self._modules)

    def named(self, name: str) -> Format:
        """Return the format of this name. Raise UnknownNameError."""
        for format_ in self._modules:
            if format_.name == name:
                return format_
        raise UnknownNameError("format", name, self.names)

    def formatted(self, shown: T, format_: str, look: Look | None = None) -> str:
        """Return the thing as text that ends with a line break. Raise UnknownNameError."""
        module = importlib.import_module(f"{self._package}.{self._modules[self.named(format_)]}")
        return cast("_Renderer[T]", module).render(shown, look or Look())
