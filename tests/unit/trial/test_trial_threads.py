"""The work of the experiment ``threads``: the same items in every place, and a number that is shared."""

from __future__ import annotations

import sys
import threading

import pytest

from ipclab.backends.registry import Variant
from ipclab.errors import ChannelError
from ipclab.experiment import Request, load
from ipclab.report import threads_table
from ipclab.trial.record import TrialRecord
from ipclab.trial.scenes.threads import _judge
from ipclab.trial.spec import TrialSpec
from ipclab.trial.thread_facts import Case, ThreadFigures, Where, cases
from ipclab.trial.threads import cost, numbers, queues

SHORT_S = 0.02


def case(way: str, work: str, where: str = "threads") -> Case:
    (found,) = [c for c in cases(interpreters=True) if (c.way, c.work, c.where) == (way, work, where)]
    return found


@pytest.mark.parametrize("way", ["queue.Queue", "queue.SimpleQueue", "collections.deque"])
@pytest.mark.parametrize("work", ["bytes", "arrays"])
def test_threads_share_the_object(way: str, work: str) -> None:
    before = threading.active_count()
    found = queues.measure(case(way, work), SHORT_S, "fork")
    assert found.same_object is True
    assert found.items > 0
    assert found.items % 8 == 0
    # Other tests of this process may have left threads that wait.
    assert threading.active_count() == before


@pytest.mark.parametrize("way", ["multiprocessing.Queue", "multiprocessing.SimpleQueue"])
def test_a_process_gets_a_copy(way: str) -> None:
    found = queues.measure(case(way, "bytes", "processes"), SHORT_S, "fork")
    assert found.same_object is False
    assert found.items > 0


def test_an_interpreter_gets_a_copy_and_an_older_python_tells_that_it_has_none() -> None:
    asked = case("concurrent.interpreters.Queue", "bytes", "interpreters")
    if sys.version_info >= (3, 14):
        found = queues.measure(asked, SHORT_S, "fork")
        assert (found.same_object, found.items > 0) == (False, True)
    else:
        with pytest.raises(ChannelError, match=r"interpreters need Python 3\.14"):
            queues.measure(asked, SHORT_S, "fork")


def test_a_lock_loses_nothing_in_threads_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "EACH", {"threads": 2000, "processes": 500})
    for way, where, owed in (("an attribute", "threads", 8000), ("multiprocessing.Value", "processes", 2000)):
        found = numbers.count(case(way, "n += 1, locked", where), "fork")
        assert (found.counted, found.items, found.same_object) == (owed, owed, None)
        assert found.seconds > 0


def test_an_increment_between_whose_read_and_write_another_one_is_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forced: every call between the read and the write waits for the other worker to have read as well."""
    both = threading.Barrier(4)

    def held(value: int) -> int:
        both.wait(30)
        return value

    monkeypatch.setattr(numbers, "same", held)
    monkeypatch.setattr(numbers, "EACH", {"threads": 5, "processes": 5})
    found = numbers.count(case("an attribute", "n = f(n) + 1"), "fork")
    assert found.items == 20
    assert found.counted is not None
    assert found.counted < 20


def test_the_lock_of_the_interpreter_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert cost.has_gil() is False
    monkeypatch.delattr(sys, "_is_gil_enabled")
    assert cost.has_gil() is True


def figures(where: Where = "threads", *, counted: int | None = None, work: str = "bytes") -> ThreadFigures:
    return ThreadFigures(
        way="queue.Queue",
        where=where,
        work=work,  # type: ignore[arg-type]
        gil=False,
        workers=1,
        items=100,
        seconds=0.5,
        cpu_s=0.25,
        same_object=None if counted is not None else True,
        counted=counted,
    )


def test_a_loss_under_a_lock_breaks_the_guarantee_and_any_other_is_shown() -> None:
    assert _judge(figures(counted=99, work="n += 1, locked")).verdict == "invalid"
    plain = _judge(figures(counted=99, work="n += 1"))
    assert (plain.verdict, plain.shown, plain.finding) == ("valid", True, "lost 1 of 100 increments")
    assert _judge(figures(counted=100, work="n += 1")).shown is False


def test_the_table_shows_the_lock_the_rate_and_a_trial_that_failed() -> None:
    def record(scenario: Case, found: ThreadFigures | None) -> TrialRecord:
        spec = TrialSpec(workload="threads", scenario=scenario.name, backend=Variant(scenario.backend))
        return TrialRecord(
            spec=spec,
            began_utc="",
            outcome="finished" if found else "failed",
            threads=found,
            safety=_judge(found) if found else None,
        )

    other = case("multiprocessing.Queue", "bytes", "processes")
    (section,) = threads_table.sections(
        [record(case("queue.Queue", "bytes"), figures()), record(other, None)]
    )
    (block,) = section.blocks
    assert [line.cells for line in block.lines] == [
        ("queue.Queue", "1 threads", "off", "200 /s", "0.50", "the same object", "kept"),
        ("multiprocessing.Queue", "processes", "–", "–", "–", "–", "failed"),
    ]


def test_the_experiment_has_every_case_that_this_interpreter_can_play() -> None:
    names = [t.scenario for t in load("threads").trials(Request(), 0)]
    assert len(names) == len(set(names)) >= 26
    assert any("interpreters" in name for name in names) == (sys.version_info >= (3, 14))
    only = [t.backend.name for t in load("threads").trials(Request(backends=(Variant("value"),)), 0)]
    assert set(only) == {"value"}
