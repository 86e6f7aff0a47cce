"""The tables of task queues: what a task costs, and what each fault did to the tasks."""

from __future__ import annotations

from msgspec.structs import replace

from ipclab.backends.registry import Variant
from ipclab.checks.tasks import TaskLedger
from ipclab.report import tasks_table
from ipclab.report.layout import Section
from ipclab.results.reasons import Reasons
from ipclab.trial.record import Safety, TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TaskFault, TaskFigures

KILL = TaskFault(action="kill", target="executor", moment="mid-task")
BROKER = TaskFault(action="kill", target="broker", moment="mid-task")
ALL = TaskLedger(
    attempted=8, confirmed=8, executed=8, lost=0, stuck=0, late=0, twice=0, begun_twice=0, half_done=0
)


def record(
    name: str,
    fault: TaskFault | None,
    ledger: TaskLedger = ALL,
    *,
    refused: str = "",
    settings: dict[str, str] | None = None,
    restarts: int = 0,
) -> TrialRecord:
    spec = TrialSpec(
        workload="tasks",
        backend=Variant(name),
        task_fault=fault,
        scenario=str(fault or ""),
        broker_settings=settings or {},
    )
    figures = TaskFigures(
        versions={"celery": "5.7.0", "redis": "8.1.0"},
        ledger=ledger,
        restarts=restarts,
        submits_per_s=None if fault else 500.0,
        executes_per_s=None if fault else 200.0,
        worker_cpu_us_per_task=None if fault else 1800.0,
    )
    return TrialRecord(
        spec=spec,
        began_utc="2026-01-01T00:00:00+00:00",
        outcome="finished",
        safety=Safety(model="delivery", verdict="valid", refused=refused),
        tasks=None if refused else figures,
    )


def lines(section: Section) -> list[tuple[str, ...]]:
    return [line.cells for block in section.blocks for line in block.lines]


def shown(*trials: TrialRecord) -> list[Section]:
    return tasks_table.sections(trials, Reasons())


def test_other_trials_have_no_section() -> None:
    other = replace(record("pool", None), spec=TrialSpec(workload="client", backend=Variant("queue")))
    assert shown(other) == []


def test_a_calm_trial_shows_the_version_the_rates_and_the_cpu_time() -> None:
    (cost,) = shown(record("celery-redis", None))
    assert lines(cost)[0][:4] == ("celery-redis", "celery 5.7.0", "500 /s", "200 /s")
    assert lines(cost)[0][6:] == ("1.8 ms", "–", "kept")


def test_a_fault_shows_what_became_of_the_tasks_with_the_range_of_its_repeats() -> None:
    lost = replace(ALL, executed=7, lost=1)
    worse = replace(ALL, executed=5, lost=3, twice=2, redone_after_ns=1_500_000_000)
    (faults,) = shown(record("rq", KILL, lost), record("rq", KILL, worse, restarts=1))
    assert lines(faults)[0][2] == "lost 1–3\ntwice 0–2\nredone after 1.5 s\nrestarted 1"


def test_a_fault_that_cost_nothing_is_shown_as_all_done() -> None:
    (faults,) = shown(record("rq", KILL, replace(ALL, redone_after_ns=40_000_000)))
    assert lines(faults)[0][2] == "all done\nredone after 40 ms"


def test_a_fault_that_was_not_tried_and_one_that_was_refused_show_no_outcome() -> None:
    reasons = Reasons()
    trials = [record("rq", KILL, refused="why"), record("huey", BROKER)]
    (faults,) = tasks_table.sections(trials, reasons)
    assert lines(faults)[0][3] == "–"
    assert any("why" in note for note in reasons.notes())


def test_a_row_under_other_settings_of_the_broker_follows_the_row_without() -> None:
    aof = {"appendonly": "yes"}
    (faults,) = shown(record("rq", BROKER), record("huey", BROKER), record("rq", BROKER, settings=aof))
    assert [cells[0] for cells in lines(faults)] == ["rq", "rq, appendonly=yes", "huey"]
