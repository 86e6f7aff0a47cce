"""What the safety trials of a result give to its table: sections, evidence, notes, a closing sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.report import client_table, crash_table, order_table
from ipclab.report.evidence import Exhibits
from ipclab.report.layout import Evidence, Section
from ipclab.results import units
from ipclab.results.reasons import Reasons, WhyNot, no_reason
from ipclab.results.safety.cells import Cell, is_in_cells, make_cells
from ipclab.trial.record import TrialRecord


@dataclass(frozen=True, slots=True)
class SafetyPart:
    """All of it is empty for a result without such trials."""

    sections: tuple[Section, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    footnotes: tuple[str, ...] = ()
    closing: str = ""


def safety_part(
    trials: Sequence[TrialRecord], why_not: WhyNot = no_reason, *, marks_taken: int = 0
) -> SafetyPart:
    """Return the sections, evidence and notes of the ``crash``, ``order`` and ``client`` trials.

    Marks begin above ``marks_taken``. ``why_not`` is asked about each fault that some other
    row suffered and this one did not.
    """
    some = [trial for trial in trials if is_in_cells(trial.spec)]
    if not some:
        return SafetyPart()
    exhibits, reasons = Exhibits(marks_taken), Reasons()
    sections = (
        *crash_table.sections(some, exhibits, reasons, why_not),
        *order_table.sections(some, exhibits, reasons),
        *client_table.sections(some, exhibits, reasons),
    )
    evidence = exhibits.all()
    notes = (*_footnotes(sections, evidence), *reasons.notes())
    return SafetyPart(sections, evidence, notes, closing(make_cells(some)))


def closing(found: Sequence[Cell]) -> str:
    """Return one sentence on what the cells say, each counted once, by the worst that it saw."""
    many = Counter(cell.verdict for cell in found)
    lost = sum(cell.verdict == "declared" and cell.lost > 0 for cell in found)
    other = many["declared"] - lost
    parts = [
        f"{many['kept']} kept everything",
        f"{lost} lost messages, as declared" if lost else "",
        f"{other} showed something else that is declared" if other else "",
        f"{many['broken']} BROKE what is declared" if many["broken"] else "",
        f"{many['hung']} hung" if many["hung"] else "",
        f"{many['stopped']} did not go on after the fault" if many["stopped"] else "",
        f"{many['failed']} failed" if many["failed"] else "",
        f"{many['unknown']} cannot be judged" if many["unknown"] else "",
        f"{many['refused']} not carried out" if many["refused"] else "",
    ]
    cells = units.of(len(found), "cell")
    return f"Safety: of {cells} (a fault at one moment, or a scenario) {'; '.join(filter(None, parts))}."


def _footnotes(sections: Sequence[Section], evidence: Sequence[Evidence]) -> list[str]:
    """Return the footnotes for the words in the cells, one line each."""
    cells = [c for s in sections for b in s.blocks for line in b.lines for c in line.cells[1:]]
    has = "\n".join(cells)
    crash = any(section.title.startswith("Faults of") for section in sections)
    found = [
        "2/9  in two of the cell's nine trials, over its moments and repeats, the others not; a moment is "
        "named where not all showed it; amounts are those of the worst trial"
        if crash
        else "",
        "kept  every confirmed message came once, whole and in order, and messages went on coming"
        if crash and "kept " in has
        else "",
        "lost  confirmed to the producer and never received (share of the confirmed); nothing breaks "
        "without BROKEN: it is as declared"
        if crash and "lost " in has
        else "",
        "BROKEN  the backend declares that this does not happen" if "BROKEN" in has else "",
        "hung  a process never came back from this call, and the watchdog ended it"
        if "hung in" in has
        else "",
        "ends  a process could not go on after this error, nor connect again" if "ends: " in has else "",
        "none came after it  no message that was sent after the fault was received"
        if "none came after it" in has
        else "",
        "again after  from when the fault was in force to the first receipt of a message sent later; median"
        if "again after" in has
        else "",
        "[5–37%]  where the share lies, by 95 % of confidence (Wilson)" if "%]" in has else "",
        "overtaken  sent later, in real time, and received earlier, whoever sent it"
        if "overtaken" in has
        else "",
        "¹ ²  the trial behind it, see the evidence" if evidence else "",
    ]
    return [note for note in found if note]
