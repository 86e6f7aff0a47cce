"""The trials of order as a section of a table: one row per channel.

Order has two meanings. *Per producer*: a consumer gets a producer's messages in the order in which the
producer sent them; the counts of the delivery ledger show it. *Real time*: from all senders together, what
certainly went in first comes out first; the anomalies of a history that was checked as a queue show it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.host.texts import tr
from ipclab.report.evidence import Exhibits
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import units, verdict
from ipclab.results.reasons import NOT_TRIED, Reasons
from ipclab.results.rows.classes import GuaranteeClass
from ipclab.results.safety.cells import Declarations, label
from ipclab.results.safety.sightings import overtaken, refusal
from ipclab.results.safety.suffered import Piece, pieces
from ipclab.results.stats import wilson
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.workloads import ORDER

FORCED = "forced"
"""The scenario in which the lab forces one message to overtake another; the others are stress."""
_NOT_A_QUEUE = "real-time order was not checked: no history of this row was checked as a queue"
_NOTHING_SENT = "no trial of this row sent a message"
_HEADS = (
    Head("order:\nbackend and mode", "backend and mode", False, True, True, False),
    Head("n→m", "shape", False, False, False, False),
    Head("messages", "messages", True, False, False, False),
    Head("per producer", "order of each producer", False, False, True, False),
    Head("real time, stress", "real-time order under stress", False, False, True, False),
    Head("forced", "real-time order, forced", False, False, True, False),
    Head("other", "other findings", False, False, True, False),
    Head("verdict", "verdict", False, False, False, False),
)


def sections(trials: Sequence[TrialRecord], exhibits: Exhibits, reasons: Reasons) -> list[Section]:
    """Return the section of all ``order`` trials; none where there are none."""
    rows: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if workloads.of(trial.spec) is ORDER:
            rows.setdefault(label(trial.spec), []).append(trial)
    declared = Declarations(trials)
    groups: dict[GuaranteeClass, list[Line]] = {}
    for name, members in rows.items():
        line = _Channel(name, members, exhibits, reasons).line()
        groups.setdefault(declared.group(members[0].spec), []).append(line)
    blocks = tuple(Block(group.said(), tuple(lines)) for group, lines in sorted(groups.items()))
    return (
        [Section(title=tr("Order"), heads=tuple(head.said() for head in _HEADS), blocks=blocks)]
        if blocks
        else []
    )


class _Channel:
    """The data of one row."""

    def __init__(
        self, name: str, trials: Sequence[TrialRecord], exhibits: Exhibits, reasons: Reasons
    ) -> None:
        self._name = name
        self._done = [trial for trial in trials if not refusal(trial)]
        # A trial that failed, or in which nothing was sent, shows nothing about order.
        told = [trial for trial in self._done if _count(trial, "attempted")]
        self._stress = [trial for trial in told if trial.spec.scenario != FORCED]
        self._forced = [trial for trial in told if trial.spec.scenario == FORCED]
        self._refused = dict.fromkeys(reason for trial in trials if (reason := refusal(trial)))
        self._exhibits = exhibits
        self._reasons = reasons
        self._links: dict[str, str] = {}

    def line(self) -> Line:
        """Return the row; each cell with a verdict of its own, for its colour."""
        shapes = dict.fromkeys(trial.spec.shape for trial in self._stress or self._forced or self._done)
        messages = sum(_count(trial, "attempted") for trial in self._stress)
        per_producer, in_real_time = self._per_producer(), self._in_real_time()
        forced, others = self._as_forced(), self._others()
        word = verdict.worst(verdict.of_trial(trial) for trial in self._done)
        cells = (
            (self._name, None),
            (", ".join(shapes) or units.NOT_APPLICABLE, None),
            (units.count(messages) if self._stress else units.NOT_APPLICABLE, None),
            per_producer,
            in_real_time,
            forced,
            others,
            (word, word) if self._done else (units.NOT_APPLICABLE, None),
        )
        return Line(
            cells=tuple(text for text, _ in cells),
            verdict=word,
            words=tuple(own for _, own in cells),
            links=self._links,
        )

    def _per_producer(self) -> tuple[str, Word | None]:
        if not self._stress:
            return self._nothing(forced=False)
        found = [piece for piece in pieces(self._stress) if piece.worst.kind == "reordered"]
        if not found:
            return tr("kept {stress}", stress=_of(self._stress, self._stress)), "kept"
        broken = any(piece.worst.standing == "broken" for piece in found)
        seen = {id(trial) for piece in found for trial in piece.trials}
        showed = [trial for trial in self._stress if id(trial) in seen]
        word = "BROKEN" if broken else "broken"
        tail = "" if broken else tr(", as declared")
        text = f"{word} {_of(showed, self._stress)}{tail}{self._marks(found)}"
        return text, "broken" if broken else "unsafe"

    def _in_real_time(self) -> tuple[str, Word | None]:
        judged = [
            trial for trial in self._stress if trial.safety is not None and trial.safety.model == "queue"
        ]
        if not judged:
            if not self._stress:
                return self._nothing(forced=False)
            return self._reasons.mark(_NOT_A_QUEUE), None
        found = [piece for piece in pieces(judged) if piece.worst.kind == "overtaken"]
        showed = [trial for piece in found for trial in piece.trials]
        over = sum(overtaken(trial.safety) for trial in judged if trial.safety is not None)
        text = tr(
            "overtaken {over} of {judged} messages, trials {showed}{found}",
            over=units.count(over),
            judged=units.count(sum(_count(t, "attempted") for t in judged)),
            showed=_of(showed, judged),
            found=self._marks(found),
        )
        return text, "unsafe" if over else "kept"

    def _as_forced(self) -> tuple[str, Word | None]:
        if not self._forced:
            return self._nothing(forced=True)
        shown = [t for t in self._forced if t.safety is not None and t.safety.shown]
        found = [p for p in pieces(self._forced) if p.worst.kind in ("overtaken", "shown", "reordered")]
        text = tr(
            "shown {shown}/{forced}{found}",
            shown=len(shown),
            forced=len(self._forced),
            found=self._marks(found),
        )
        broken = any(piece.worst.standing == "broken" for piece in found)
        return (
            tr("BROKEN: {text}", text=text) if broken else text
        ), "broken" if broken else "unsafe" if shown else "kept"

    def _others(self) -> tuple[str, Word | None]:
        """Return every finding that is not about order."""
        found = [p for p in pieces(self._done) if p.worst.kind not in ("overtaken", "shown", "reordered")]
        lines = [
            f"{tr('BROKEN: ') if piece.worst.standing == 'broken' else ''}{piece.worst.text} "
            f"{len(piece.trials)}/{len(self._done)}{self._marks([piece])}"
            for piece in found
        ]
        broken = any(piece.worst.standing == "broken" for piece in found)
        return "\n".join(lines) or "nothing", "broken" if broken else "unsafe" if found else None

    def _nothing(self, *, forced: bool) -> tuple[str, Word | None]:
        in_vain = any((trial.spec.scenario == FORCED) == forced for trial in self._done)
        reasons = [_NOTHING_SENT] if in_vain else list(self._refused) or [NOT_TRIED]
        return " ".join(self._reasons.mark(reason) for reason in reasons), None

    def _marks(self, found: Sequence[Piece]) -> str:
        marks: dict[str, None] = {}
        for piece in found:
            mark, link = self._exhibits.mark(piece)
            marks[mark] = None
            self._links.update(link)
        return " ".join(marks)


def _of(some: Sequence[TrialRecord], of: Sequence[TrialRecord]) -> str:
    """Return a share with its interval, such as ``3/20 [5–37%]``."""
    return f"{len(some)}/{len(of)} {units.interval(*wilson(len(some), len(of)))}"


def _count(trial: TrialRecord, name: str) -> int:
    return trial.safety.counts.get(name, 0) if trial.safety is not None else 0
