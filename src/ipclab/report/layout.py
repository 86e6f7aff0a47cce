"""The parts of a table: text in rows and columns, ready for any renderer."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ipclab.faults.spec import Target
from ipclab.host.texts import mark, tr
from ipclab.results.safety.cells import CellVerdict
from ipclab.results.verdict import Word

EVIDENCE = mark(
    "The files are in the folder of the run; `ipclab check FILE` checks one again without running anything"
)
"""The text above the evidence, in Markdown."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column's header, and how it may be shown: see ``ipclab.report.columns.Column``."""

    text: str
    full: str
    right: bool
    key: bool
    flexible: bool
    optional: bool

    def said(self) -> Head:
        """Return the head in the language of the reader."""
        return replace(self, text=tr(self.text), full=tr(self.full))


@dataclass(frozen=True, slots=True)
class Brief:
    """A cell of the fault matrix in few words: the worst that was seen, and the numbers of its evidence.

    ``text`` is the thing itself, such as ``lost 12 (0.4%)``; it is empty where nothing went wrong.
    """

    verdict: CellVerdict
    text: str
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of a row; its verdict belongs to the last one, unless ``words`` has one for each of them.

    A line break within a cell separates lines of the cell. ``links`` maps the superscript marks in the cells
    to files, relative to the folder of the run. ``values`` has the figure of each cell in full precision, for
    sorting; None where a cell has none. ``briefs`` has the cells of the fault matrix in few words; None where
    there was no trial.
    """

    cells: tuple[str, ...]
    verdict: Word
    words: tuple[Word | None, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    values: tuple[float | None, ...] = ()
    briefs: tuple[Brief | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that may be compared with one another. ``advice`` has sentences on what follows from them."""

    title: str
    lines: tuple[Line, ...]
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks with the same columns. ``target`` is set for the fault matrix: what its faults strike.

    ``answers`` says that it has the answer of the run, which follows from all other sections.
    """

    title: str
    heads: tuple[Head, ...]
    blocks: tuple[Block, ...]
    target: Target | None = None
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence behind the mark ``number`` of the table: one trial of ``row`` with ``fault`` (or the
    scenario) showed ``finding``. ``timeline`` is its counterexample, monospaced; ``like`` is the number of
    another trial of the row whose timeline shows the same kind of sighting. ``history`` is empty where none
    was kept. ``stacks`` has the stack of each process that hung, by its name."""

    number: int
    row: str
    fault: str
    finding: str
    history: str
    timeline: str
    like: int | None
    broken: bool
    stacks: Mapping[str, str] = field(default_factory=dict)

    def check(self, folder: str) -> str:
        """Return the command that checks the history again; ``folder`` is that of the run, or empty. Empty
        where no history was kept."""
        if not self.history:
            return ""
        return shlex.join(["ipclab", "check", f"{folder}/{self.history}" if folder else self.history])


@dataclass(frozen=True, slots=True)
class Table:
    """``unavailable`` has pairs of a backend and a reason; ``problems`` the reasons of bad verdicts;
    ``evidence`` the trials behind the marked cells; ``busy`` is a warning that figures are rough, empty where
    they are not."""

    title: str
    heading: tuple[str, ...]
    sections: tuple[Section, ...]
    unavailable: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    footnotes: tuple[str, ...]
    closing: str
    busy: str = ""
    evidence: tuple[Evidence, ...] = ()
