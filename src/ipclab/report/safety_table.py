"""What the safety trials of a result give to its table: sections, evidence, notes, a closing sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.host.texts import tr
from ipclab.report import client_table, crash_table, order_table, tasks_table, threads_table
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
    """Return the sections, evidence and notes of the ``crash``, ``order``, ``client``, ``tasks``
    and ``threads`` trials.

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
        *tasks_table.sections(some, reasons),
        *threads_table.sections(some),
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
        tr("{many} kept everything", many=many["kept"]),
        tr("{lost} lost messages, as declared", lost=lost) if lost else "",
        tr("{other} showed another effect that is declared", other=other) if other else "",
        tr("{many} BROKE a declared guarantee", many=many["broken"]) if many["broken"] else "",
        tr("{many} hung", many=many["hung"]) if many["hung"] else "",
        tr("{many} stopped after the fault", many=many["stopped"]) if many["stopped"] else "",
        tr("{many} failed", many=many["failed"]) if many["failed"] else "",
        tr("{many} cannot be judged", many=many["unknown"]) if many["unknown"] else "",
        tr(
            "{many} {part} not carried out",
            many=many["refused"],
            part="was" if many["refused"] == 1 else "were",
        )
        if many["refused"]
        else "",
    ]
    cells = units.of(len(found), "cell")
    return tr(
        "Safety: {cells} (one fault at one moment, or one scenario): {filter}.",
        cells=cells,
        filter="; ".join(filter(None, parts)),
    )


def _footnotes(sections: Sequence[Section], evidence: Sequence[Evidence]) -> list[str]:
    """Return the footnotes for the words in the cells, one line each."""
    cells = [c for s in sections for b in s.blocks for line in b.lines for c in line.cells[1:]]
    has = "\n".join(cells)
    crash = any(section.target is not None for section in sections)
    tasks = any(section.title == tr(tasks_table.FAULTS) for section in sections)
    found = [
        tr(
            "2/9  seen in two of the cell's nine trials, all moments and repeats "
            "together; a moment is named where only some moments showed it; an "
            "amount is that of the worst trial"
        )
        if crash
        else "",
        tr(
            "kept  every confirmed message arrived once, intact and in order, and "
            "messages sent after the fault arrived"
        )
        if crash and "kept " in has
        else "",
        tr(
            "lost  confirmed messages that never arrived or, of at-least-once, that "
            "no consumer acknowledged (share of the confirmed); without BROKEN, the "
            "backend declares that this can happen"
        )
        if crash and "lost " in has
        else "",
        tr("perhaps lost  messages that did not arrive, and the history does not show whether they were lost")
        if "perhaps lost " in has
        else "",
        tr("undelivered  confirmed messages that had not arrived when a process hung or no consumer was left")
        if "undelivered " in has
        else "",
        tr("undone  messages that a consumer received and that none was done with")
        if "undone " in has
        else "",
        tr("twice  receipts of a message that had been received before") if crash and "twice " in has else "",
        tr("reordered  receipts that came after a later message of the same producer")
        if "reordered " in has
        else "",
        tr("BROKEN  the backend declares that this does not happen") if "BROKEN" in has else "",
        tr("hung  a process did not return from this call, and the watchdog ended it")
        if "hung in" in has
        else "",
        tr("ends  a process ended with this error and could not connect again") if "ends: " in has else "",
        tr("ends: Slow  a process still ran long after its time was over, and the lab ended it")
        if "ends: Slow" in has
        else "",
        tr("none came after it  no message that was sent after the fault was received")
        if "none came after it" in has
        else "",
        tr("again after  time from the start of the fault until a message sent later was received; median")
        if "again after" in has
        else "",
        tr("lost  tasks that were confirmed, never ended, and that the broker does not hold any more")
        if tasks and "lost " in has
        else "",
        tr("stuck  confirmed tasks that had not ended until a fresh worker and one more task came")
        if tasks and "stuck " in has
        else "",
        tr("twice  tasks that ended more than once") if tasks and "twice " in has else "",
        tr("unconfirmed  tasks whose submission raised an error or did not return")
        if tasks and "unconfirmed " in has
        else "",
        tr("redone after  time from the fault until an interrupted task began again; median")
        if tasks and "redone after" in has
        else "",
        tr("restarted  starts of a worker that had ended, by the lab as its supervisor")
        if tasks and "restarted " in has
        else "",
        tr("orphans  processes of the worker that still ran after their parent was gone")
        if tasks and "orphans " in has
        else "",
        tr("[5–37%]  95% confidence interval of the share (Wilson)") if "%]" in has else "",
        tr("overtaken  messages that were received after another one whose send began when theirs had ended")
        if "overtaken" in has
        else "",
        tr("¹ ²  number of the trial that showed it, see Evidence") if evidence else "",
    ]
    return [note for note in found if note]
