"""The trials of client libraries as a section of a table: one row per scenario.

They are in the order of the experiment, so that a library's default has its fix beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.host.texts import mark, tr
from ipclab.report.evidence import Exhibits
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import verdict
from ipclab.results.reasons import Reasons
from ipclab.results.safety.cells import client_finding, label
from ipclab.results.safety.sightings import refusal
from ipclab.results.safety.suffered import pieces
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.workloads import CLIENT

_TITLE = mark("Faults of client libraries, not of their servers")
_HEADS = (
    Head("scenario", "scenario", False, True, True, False),
    Head("backend", "backend", False, False, True, False),
    Head("shown", "shown", False, False, False, False),
    Head("finding", "finding", False, False, True, False),
    Head("verdict", "verdict", False, False, False, False),
)


def sections(trials: Sequence[TrialRecord], exhibits: Exhibits, reasons: Reasons) -> list[Section]:
    """Return the section of all ``client`` trials; none where there are none."""
    rows: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in trials:
        if workloads.of(trial.spec) is CLIENT:
            rows.setdefault((trial.spec.scenario, label(trial.spec)), []).append(trial)
    lines = [_line(*names, members, exhibits, reasons) for names, members in rows.items()]
    if not lines:
        return []
    heads = tuple(head.said() for head in _HEADS)
    return [Section(title=tr("Clients"), heads=heads, blocks=(Block(tr(_TITLE), tuple(lines)),))]


def _line(
    scenario: str, backend: str, trials: Sequence[TrialRecord], exhibits: Exhibits, reasons: Reasons
) -> Line:
    done = [trial for trial in trials if not refusal(trial)]
    if not done:
        marks = " ".join(reasons.mark(reason) for reason in dict.fromkeys(map(refusal, trials)))
        return Line((scenario, backend, marks, marks, marks), "unknown", (None,) * len(_HEADS))
    links: dict[str, str] = {}
    marks_of: dict[str, None] = {}
    for piece in pieces(done):
        number, link = exhibits.mark(piece)
        marks_of[number] = None
        links.update(link)
    shown = [trial for trial in done if trial.safety is not None and trial.safety.shown]
    word = verdict.worst(verdict.of_trial(trial) for trial in done)
    style: Word = "unsafe" if shown else "kept"
    return Line(
        cells=(
            scenario,
            backend,
            f"{len(shown)}/{len(done)}{' '.join(marks_of)}",
            client_finding(done),
            word,
        ),
        verdict=word,
        words=(None, None, style, None, word),
        links=links,
    )
