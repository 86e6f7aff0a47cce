"""A page as a reader without a browser has it: its text, its tags, and whether it needs anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

VOID = frozenset(("meta", "input", "br", "wbr", "link", "img", "hr"))
_LINES = frozenset(
    (
        "p",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "tr",
        "summary",
        "pre",
        "dt",
        "dd",
        "caption",
        "title",
        "desc",
        "text",
        "div",
    )
)


class Read(HTMLParser):
    """``text`` without the style and the scripts; ``tags`` with their attributes; ``inside`` is what the
    elements ``style`` and ``script`` have; ``unclosed`` names tags that are closed wrongly."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"style": [], "script": []}
        self.unclosed: list[str] = []
        self._open: list[str] = []
        self._pieces: list[str] = []
        self.feed(page)
        self.close()
        self.unclosed += self._open

    @property
    def text(self) -> str:
        """Return the text, a line for each line that a reader sees as one."""
        lines = (re.sub(r"[ \t]+", " ", line).strip() for line in "".join(self._pieces).split("\n"))
        return "\n".join(line for line in lines if line)

    @property
    def words(self) -> str:
        """Return the text in one line, with single spaces."""
        return " ".join("".join(self._pieces).split())

    def attributes(self, name: str) -> Iterator[str]:
        """Yield the values of an attribute, of whatever tag."""
        for _, attributes in self.tags:
            value = attributes.get(name)
            if value is not None:
                yield value

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("td", "th"):
            self._pieces.append(" | ")
        if tag in _LINES or tag == "br":
            self._pieces.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unclosed.append(tag)
        if tag in _LINES:
            self._pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inside:
            self.inside[self._open[-1]].append(data)
        else:
            self._pieces.append(data)
