"""The fault matrix as sections of a table: a section per target, a row per mode, a column per action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS, FaultSpec, Moment, Target
from ipclab.host.texts import mark, tr
from ipclab.report import advice
from ipclab.report.evidence import Exhibits
from ipclab.report.layout import Block, Brief, Head, Line, Section
from ipclab.results import units
from ipclab.results.reasons import NOT_TRIED, Reasons, WhyNot
from ipclab.results.rows.classes import GuaranteeClass
from ipclab.results.safety import suffered
from ipclab.results.safety.cells import WORDS, Declarations, label, of_sighting, worst
from ipclab.results.safety.suffered import Suffered
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.workloads import CRASH

_Row = Mapping[tuple[str, Target], Suffered]
_TITLES: Mapping[Target, str] = {
    "producer": mark("Faults of a producer"),
    "consumer": mark("Faults of a consumer"),
    "broker": mark("Faults of the broker"),
}


def sections(
    trials: Sequence[TrialRecord], exhibits: Exhibits, reasons: Reasons, why_not: WhyNot
) -> list[Section]:
    """Return the sections of all ``crash`` trials.

    Enter the trials behind the cells into ``exhibits``, and the reasons of empty cells into ``reasons``.
    """
    by_row: dict[str, dict[tuple[str, Target], list[TrialRecord]]] = {}
    for trial in trials:
        if workloads.of(trial.spec) is CRASH and trial.spec.fault is not None:
            fault = trial.spec.fault.action, trial.spec.fault.target
            by_row.setdefault(label(trial.spec), {}).setdefault(fault, []).append(trial)
    rows = [{fault: suffered.gather(some) for fault, some in row.items()} for row in by_row.values()]
    declared = Declarations(trials)
    groups: dict[GuaranteeClass, list[_Row]] = {}
    for row in rows:
        spec = next(iter(row.values())).spec
        groups.setdefault(declared.group(spec), []).append(row)
    matrix = _Matrix(dict(sorted(groups.items())), exhibits, reasons, why_not)
    return [found for target in TARGETS if (found := matrix.section(target)) is not None]


class _Matrix:
    def __init__(
        self,
        groups: Mapping[GuaranteeClass, Sequence[_Row]],
        exhibits: Exhibits,
        reasons: Reasons,
        why_not: WhyNot,
    ) -> None:
        self._groups = groups
        self._exhibits = exhibits
        self._reasons = reasons
        self._why_not = why_not
        everything = [row for rows in groups.values() for row in rows]
        self._faults = {fault for row in everything for fault in row}
        self._moments = {
            fault: frozenset().union(*(row[fault].asked for row in everything if fault in row))
            for fault in self._faults
        }

    def section(self, target: Target) -> Section | None:
        """Return the faults of this target; None where there are none."""
        actions = [action for action in ACTIONS if (action, target) in self._faults]
        if not actions:
            return None
        title = tr(_TITLES[target])
        names = Head(
            tr("{title}:\nbackend and mode", title=title), tr("backend and mode"), False, True, True, False
        )
        blocks = [self._block(group.said(), rows, target, actions) for group, rows in self._groups.items()]
        return Section(
            title=title,
            heads=(names, *(Head(action, action, False, False, True, False) for action in actions)),
            blocks=tuple(block for block in blocks if block.lines),
            target=target,
        )

    def _block(self, title: str, rows: Sequence[_Row], target: Target, actions: Sequence[str]) -> Block:
        lines = [line for row in rows if (line := self._line(row, target, actions)) is not None]
        found = [row[action, target] for row in rows for action in actions if (action, target) in row]
        return Block(title, tuple(lines), tuple(advice.derive(found)))

    def _line(self, row: _Row, target: Target, actions: Sequence[str]) -> Line | None:
        """Return the line of a row; None for a row without trials of this target."""
        links: dict[str, str] = {}
        texts = [self._cell(row, (action, target), links) for action in actions]
        if not any(texts):
            return None
        some = next(iter(row.values()))
        found = [row.get((action, target)) for action in actions]
        words = [WORDS[cell.verdict] if cell is not None else None for cell in found]
        return Line(
            cells=(some.row, *(text or self._reasons.mark(NOT_TRIED) for text in texts)),
            verdict=WORDS[worst(cell.verdict for cell in found if cell is not None)] or "unknown",
            words=(None, *words),
            links=links,
            briefs=(None, *(self._brief(cell) for cell in found)),
        )

    def _brief(self, found: Suffered | None) -> Brief | None:
        """Return the cell in few words: the first of its worst things; None where there was no trial."""
        if found is None:
            return None
        numbers = dict.fromkeys(self._exhibits.number(piece) for piece in found.pieces)
        of_it = [p for p in found.pieces if of_sighting(p.worst) == found.verdict] or found.pieces
        text = of_it[0].worst.text if of_it else next(iter(found.refused), "")
        return Brief(found.verdict, text, tuple(numbers))

    def _cell(self, row: _Row, fault: tuple[str, Target], links: dict[str, str]) -> str:
        found = row.get(fault)
        if found is None:
            return self._missing(row, fault, self._moments[fault])
        lines = [text] if (text := suffered.kept(found)) else []
        for piece in found.pieces:
            mark, link = self._exhibits.mark(piece)
            links.update(link)
            lines.append(suffered.words(found, piece, mark))
        if found.again_s is not None:
            lines.append(tr("again after {again_s} s", again_s=units.number(found.again_s, 2)))
        for reason in dict.fromkeys(found.refused):
            many = f" {found.refused.count(reason)}/{len(found.refused) + len(found.trials)}"
            lines.append(self._reasons.mark(reason) + (many if found.trials else ""))
        lines += self._moments_missing(row, fault, self._moments[fault] - found.asked)
        return "\n".join(lines)

    def _missing(self, row: _Row, fault: tuple[str, Target], moments: frozenset[Moment]) -> str:
        """Return the marks of a cell that has no trial; empty where no reason is known."""
        found = [reason for _, reason in self._reasons_of(row, fault, moments)]
        return " ".join(self._reasons.mark(reason) for reason in dict.fromkeys(found))

    def _moments_missing(self, row: _Row, fault: tuple[str, Target], moments: frozenset[Moment]) -> list[str]:
        found = self._reasons_of(row, fault, moments)
        return [f"{moment} {self._reasons.mark(reason)}" for moment, reason in found]

    def _reasons_of(
        self, row: _Row, fault: tuple[str, Target], moments: frozenset[Moment]
    ) -> list[tuple[str, str]]:
        spec = next(iter(row.values())).spec
        found = []
        for moment in MOMENTS:
            if moment in moments:
                action, target = fault
                asked = replace(spec, fault=FaultSpec(action=action, target=target, moment=moment))
                found.append((moment, self._why_not(asked)))
        return [(moment, reason) for moment, reason in found if reason]
