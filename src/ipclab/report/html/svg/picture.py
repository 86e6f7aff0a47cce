"""A whole picture, for a page or as a file of its own. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ipclab.report.html.svg.element import Attribute, draw, number


@dataclass(frozen=True, slots=True)
class Picture:
    """``name`` is unique on a page; ``title`` and ``description`` say in words what the picture shows."""

    name: str
    width: float
    height: float
    title: str
    description: str
    children: tuple[Markup, ...]

    def inline(self, kind: str = "chart") -> Markup:
        """Return the picture as a part of a page, which brings the style. ``kind`` is its CSS class."""
        return self._drawn({"class": kind}, ())

    def alone(self, style: str) -> Markup:
        """Return the picture as a file of its own with this style sheet."""
        ground = draw("rect", {"width": self.width, "height": self.height, "class": "ground"})
        return self._drawn({"class": "chart"}, (draw("style", None, Markup(style)), ground))

    def _drawn(self, more: dict[str, Attribute], first: tuple[Markup, ...]) -> Markup:
        ids = f"{self.name}-title", f"{self.name}-desc"
        return draw(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {number(self.width)} {number(self.height)}",
                "width": self.width,
                "height": self.height,
                "role": "img",
                "aria-labelledby": " ".join(ids),
                **more,
            },
            draw("title", {"id": ids[0]}, self.title),
            draw("desc", {"id": ids[1]}, self.description),
            *first,
            *self.children,
        )
