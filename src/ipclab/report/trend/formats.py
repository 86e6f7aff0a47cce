"""The formats of a trend, one module each, with a function ``render(trend, look)``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from ipclab.errors import UnknownNameError
from ipclab.report.look import Look

if TYPE_CHECKING:
    from ipclab.compare.trend import Trend

_MODULES = {"table": "terminal", "csv": "csv"}
FORMATS = tuple(_MODULES)
DEFAULT = FORMATS[0]


class _Renderer(Protocol):
    def render(self, trend: Trend, look: Look) -> str: ...


def formatted(trend: Trend, format_: str, look: Look | None = None) -> str:
    """Return the trend as text that ends with a line break. Raise UnknownNameError."""
    if format_ not in _MODULES:
        raise UnknownNameError("format", format_, FORMATS)
    module = importlib.import_module(f"ipclab.report.trend.{_MODULES[format_]}")
    return cast(_Renderer, module).render(trend, look or Look())
