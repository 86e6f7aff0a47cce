"""A comparison as Markdown, for a pull request's comment or a step summary: what did not change is folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ipclab.compare.comparison import Comparison
from ipclab.host.texts import mark, tr
from ipclab.report.comparison.words import Line, closing, heading, lines, warnings
from ipclab.report.look import Look

_MARKS = "\\|*_<>#`~[]"
_HEADS = (
    "",
    "row",
    "metric",
    "old",
    "new",
    "change",
    "95 % interval",
    mark("would have seen"),
    mark("evidence"),
)


def render(comparison: Comparison, _look: Look | None = None) -> str:
    """Return the comparison with the worst first. It has no links, so that it can be read anywhere."""
    everything = lines(comparison)
    open_ = [line for line in everything if line.gates and line.word != "same"]
    same = [line for line in everything if line.gates and line.word == "same"]
    shown = [line for line in everything if not line.gates]
    out = [f"### {_escaped(comparison.experiment)}: {_escaped(closing(comparison))}", ""]
    out += [f"- {_escaped(line)}" for line in (*heading(comparison), *warnings(comparison))]
    if open_:
        out += ["", *_table(open_)]
    out += [
        *_folded(tr("{same} the same", same=len(same)), same),
        *_folded(tr("{shown} shown only", shown=len(shown)), shown),
    ]
    return "\n".join(out) + "\n"


def _folded(title: str, some: Sequence[Line]) -> list[str]:
    if not some:
        return []
    return ["", f"<details><summary>{title}</summary>", "", *_table(some), "", "</details>"]


def _table(some: Sequence[Line]) -> Iterator[str]:
    yield f"| {' | '.join(map(tr, _HEADS))} |"
    yield f"| {' | '.join(':--' for _ in _HEADS)} |"
    for line in some:
        word = f"**{line.word}**" if line.word == "worse" else line.word
        cells = (
            line.row,
            line.metric,
            line.old,
            line.new,
            line.change,
            line.interval,
            line.visible,
            line.evidence,
        )
        yield f"| {' | '.join((word, *map(_escaped, cells)))} |"


def _escaped(what: str) -> str:
    for sign in _MARKS:
        what = what.replace(sign, f"\\{sign}")
    return " ".join(what.split())
