"""One SVG element as text. Everything that is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup, escape

Attribute = str | float | None


def draw(name: str, attributes: Mapping[str, Attribute] | None = None, *children: str) -> Markup:
    """Return ``<name …>children</name>``. Attributes that are None are left out; numbers have one decimal."""
    written = "".join(
        f' {key}="{escape(value if isinstance(value, str) else number(value))}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")


def group(attributes: Mapping[str, Attribute] | None, children: Iterable[str]) -> Markup:
    """Return the children in a ``<g>``."""
    return draw("g", attributes, *children)


def number(value: float) -> str:
    """Return a coordinate as short text, the same on every machine: ``12``, ``12.3``."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"
