"""A result as Markdown, for a README or a pull request. Returns strings; writes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ipclab.host.texts import tr
from ipclab.report import table
from ipclab.report.layout import EVIDENCE, Block, Evidence, Head, Line, Table
from ipclab.report.look import Look
from ipclab.results.result import Result

_MARKS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def render(result: Result, look: Look | None = None) -> str:
    """Return the table of a result. Raise ResultsError for an unreadable histogram."""
    return draw(table.make(result), look.folder if look else "")


def draw(shown: Table, folder: str = "") -> str:
    """Return the table as Markdown, for a README or a pull request. ``folder`` is the folder of the run, from
    where the text is put; empty for a text within it."""
    lines = [f"# {_escaped(shown.title)}", ""]
    lines += [f"- {_escaped(line)}" for line in shown.heading]
    for section in shown.sections:
        lines += ["", f"## {section.title}"]
        for block in section.blocks:
            lines += ["", f"**{_escaped(block.title)}**", "", *_markdown_rows(section.heads, block, folder)]
            lines += ["", *(f"> {_escaped(sentence)}" for sentence in block.advice)] if block.advice else []
    if shown.unavailable:
        lines += ["", f"## {tr('Unavailable, so not measured')}", ""]
        lines += [f"- `{backend}`: {_escaped(reason)}" for backend, reason in shown.unavailable]
    if shown.evidence:
        lines += ["", f"## {tr('Evidence')}", "", f"{tr(EVIDENCE)}."]
        lines += [line for found in shown.evidence for line in _markdown_evidence(found, folder)]
    lines += ["", *(f"{number}. {_escaped(problem)}" for number, problem in enumerate(shown.problems, 1))]
    lines += [""] if shown.problems else []
    lines += [f"- {_escaped(note)}" for note in shown.footnotes]
    lines += ["", f"**{_escaped(shown.closing)}**"]
    lines += ["", f"**{_escaped(shown.busy)}**"] if shown.busy else []
    return "\n".join(lines) + "\n"


def _markdown_rows(heads: Sequence[Head], block: Block, folder: str) -> Iterator[str]:
    yield f"| {' | '.join(_escaped(head.full) for head in heads)} |"
    yield f"| {' | '.join('--:' if head.right else ':--' for head in heads)} |"
    for line in block.lines:
        yield f"| {' | '.join(_linked(_escaped(cell), line, folder) for cell in line.cells)} |"


def _linked(cell: str, line: Line, folder: str) -> str:
    before = f"{folder}/" if folder else ""
    cell = _MARKS.sub(
        lambda mark: f"[{mark[0]}]({before}{line.links[mark[0]]})" if mark[0] in line.links else mark[0], cell
    )
    return cell.replace("\n", "<br>")


def _markdown_evidence(found: Evidence, folder: str) -> Iterator[str]:
    where = f"{folder}/{found.history}" if folder else found.history
    history = f" · [{found.history}]({where}) · `{found.check(folder)}`" if found.history else ""
    yield ""
    yield f"**{found.number}** {_escaped(f'{found.row} · {found.fault}: {found.finding}')}{history}"
    if found.like is not None:
        yield tr("(its counterexample is similar to that of {like})", like=found.like)
    if found.timeline:
        yield from ("", "```text", *found.timeline.splitlines(), "```")


def _escaped(what: str) -> str:
    for mark in "\\|*_<>#+`":
        what = what.replace(mark, f"\\{mark}")
    return what
