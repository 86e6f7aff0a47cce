"""The formats of a comparison, one module each.

To add a format: write its module with a function ``render(comparison, look)``, and enter it here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from ipclab.errors import UnknownNameError
from ipclab.report.look import Look

if TYPE_CHECKING:
    from ipclab.compare.comparison import Comparison

_MODULES = {"table": "terminal", "md": "markdown", "json": "json", "csv": "csv", "junit": "junit"}
FORMATS = tuple(_MODULES)
DEFAULT = FORMATS[0]
UTF_8 = frozenset(("json", "junit"))
"""The formats that are UTF-8 wherever they go."""


class _Renderer(Protocol):
    def render(self, comparison: Comparison, look: Look) -> str: ...


def formatted(comparison: Comparison, format_: str, look: Look | None = None) -> str:
    """Return the comparison as text that ends with a line break. Raise UnknownNameError."""
    if format_ not in _MODULES:
        raise UnknownNameError("format", format_, FORMATS)
    module = importlib.import_module(f"ipclab.report.comparison.{_MODULES[format_]}")
    return cast(_Renderer, module).render(comparison, look or Look())
