"""Reading the project's Markdown: sections, tables, blocks of commands, slots."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
README_ZH = CHECKOUT / "README.zh.md"
BOTH = [
    (README, README_ZH),
    *(
        (CHECKOUT / "docs" / f"{name}.md", CHECKOUT / "docs" / f"{name}.zh.md")
        for name in ("index", "results", "usage", "servers", "overhead")
    ),
]
"""The pages that say the same in English and in Chinese; those of the claims are made by the program."""
DOCS = sorted((CHECKOUT / "docs").glob("*.md"))
ARCHITECTURE = CHECKOUT / "ARCHITECTURE.md"
PAGES = [README, README_ZH, ARCHITECTURE, CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "CHANGELOG.md", *DOCS]

_SLOT = re.compile(r"<!-- (\w+):begin -->\n(.*?)<!-- \1:end -->", re.DOTALL)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def guide(language: int = 0) -> str:
    """Return README and the pages that go on from it as one text, in English (0) or in Chinese (1)."""
    return "\n\n".join(pair[language].read_text(encoding="utf-8") for pair in BOTH)


def slots(text: str) -> dict[str, str]:
    """Return the content of each slot for measured figures."""
    return {match[1]: match[2] for match in _SLOT.finditer(text)}


def without_slots(text: str) -> str:
    """Return the text that people wrote, without the slots."""
    return _SLOT.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """Return the contents of all fenced blocks in this language."""
    return [match[2] for match in _BLOCK.finditer(text) if match[1] == language]


def without_blocks(text: str) -> str:
    """Return the text outside fenced blocks."""
    return _BLOCK.sub("", text)


def commands(text: str) -> list[str]:
    """Return the lines of all blocks of shell commands."""
    return [line for block in blocks(text, "sh") for line in block.splitlines() if line.strip()]


def ipclab_calls(text: str) -> list[list[str]]:
    """Return the arguments of every ``ipclab …`` in the text, in blocks and between them."""
    inline = re.findall(r"`(ipclab\s[^`]+)`", without_blocks(text))
    lines = [line.partition("|")[0] for line in commands(text)]
    found = [shlex.split(line.replace("…", "1")) for line in [*lines, *inline] if line.startswith("ipclab ")]
    return [call[1:] for call in found]


def headings(text: str) -> list[tuple[int, str]]:
    """Return level and title of each heading."""
    found = re.findall(r"^(#+) (.+)$", without_blocks(text), re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def section(text: str, title: str) -> str:
    """Return the text under this heading, up to the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert match, f"there is no section {title!r}"
    return match[2]


def tables(text: str) -> list[list[list[str]]]:
    """Return every table as rows of cells, its header first."""
    found: list[list[list[str]]] = []
    before = ""
    for line in without_blocks(text).splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                found[-1].append(cells)
        before = line
    return found


def code(cell: str) -> list[str]:
    """Return the pieces of code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
