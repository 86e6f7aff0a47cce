"""Scenarios of multiprocessing.Queue, and what a record says of a scenario, whatever it is about."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ipclab import experiment, lab
from ipclab.checks import check
from ipclab.checks.breach import texts
from ipclab.errors import UnknownNameError, UsageError
from ipclab.history import ProcessLog, read
from ipclab.host.start_methods import StartMethod
from ipclab.trial.client import SCENARIOS, Scenario
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.scenario import Seen
from ipclab.trial.record import Safety, TrialRecord
from tests.support.clients import defaults, play, safety_of
from tests.support.documents import CHECKOUT, tables

SAFETY_PAGE = CHECKOUT / "docs" / "safety.md"
FEEDER = ("unpicklable", "mutated", "false-empty", "left-behind")
"""The scenarios of the queue whose history shows what errs; those that hang have a file of their own."""
TOLD = {
    "join-thread-cancelled": {"lost"},
    "pool-imap-reads-ahead": {"lost"},
    "registered-call": {"lost-update"},
    "memory-unlinked-by-a-stranger": {"stale-read"},
    "shareable-list-strips": {"phantom"},
}
"""Other scenarios of Python's own whose history shows what errs, and what it is."""
RAISES = {
    "barrier-timeout": "BrokenBarrierError",
    "manager-ends-with-main": "FileNotFoundError",
    "proxy-iteration": "AttributeError",
    "spawned-argument": "FileNotFoundError",
}
"""Scenarios in which a right use gets an error, and which."""

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_left")]


@pytest.mark.parametrize("name", FEEDER)
def test_a_queue_as_it_comes_errs(name: str) -> None:
    safety = safety_of(play(name))

    assert safety.shown
    assert safety.verdict == "valid", "nobody declares that it does not"
    assert safety.anomalies
    assert safety.counterexample
    assert safety.finding


@pytest.mark.parametrize("name", FEEDER)
def test_a_queue_that_is_set_right_does_not(name: str) -> None:
    safety = safety_of(play(SCENARIOS[name].fix))

    assert safety.shown is False
    assert safety.verdict == "valid"
    assert not safety.anomalies
    assert not safety.broken


@pytest.mark.parametrize("name", TOLD)
def test_what_errs_is_told_by_the_history(name: str) -> None:
    safety = safety_of(play(name))

    assert safety.shown
    assert safety.verdict == "valid"
    assert safety.anomalies.keys() == TOLD[name]


@pytest.mark.parametrize("name", RAISES)
def test_a_right_use_that_gets_an_error_is_shown(name: str) -> None:
    safety = safety_of(play(name))

    assert safety.shown
    assert safety.verdict == "valid"
    assert RAISES[name] in safety.finding


@pytest.mark.parametrize("name", [*TOLD, *RAISES])
def test_set_right_nothing_errs(name: str) -> None:
    safety = safety_of(play(SCENARIOS[name].fix))

    assert safety.shown is False, safety.finding
    assert safety.verdict == "valid"
    assert not safety.anomalies
    assert "Error" not in safety.finding.partition(": ")[2] or name == "barrier-timeout"


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
@pytest.mark.parametrize("name", ["registered-call", "manager-ends-with-main", "join-thread-cancelled"])
def test_other_faults_do_not_depend_on_the_start_method_either(name: str, start_method: StartMethod) -> None:
    assert safety_of(play(name, start_method=start_method)).shown


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_it_does_not_matter_how_processes_are_started(start_method: StartMethod) -> None:
    assert safety_of(play("unpicklable", start_method=start_method)).shown


@pytest.mark.parametrize("name", FEEDER)
def test_the_history_that_is_kept_gives_the_same_anomalies_again(name: str, tmp_path: Path) -> None:
    kept = tmp_path / "histories" / "0000.jsonl.gz"
    kept.parent.mkdir()

    safety = safety_of(play(name, history=kept))

    again = check(read(kept))
    assert safety.history == "histories/0000.jsonl.gz"
    assert again.verdict == "invalid"
    assert again.anomalies == safety.anomalies


def test_the_items_that_are_gone_are_those_that_could_not_be_pickled(tmp_path: Path) -> None:
    kept = tmp_path / "history.jsonl.gz"

    safety = safety_of(play("unpicklable", history=kept))

    assert safety.anomalies == {"lost": 1}
    assert "1 and 3 arrived" in safety.finding
    assert "send 2" in safety.counterexample


def test_what_a_queue_that_is_asked_too_early_says_is_no_empty_queue() -> None:
    safety = safety_of(play("false-empty"))

    assert safety.anomalies == {"false-empty": safety.counts["empty"] + safety.counts["empty_slow"]}
    assert safety.counts["empty_slow"] > 0


def test_what_the_feeder_thread_had_not_got_to_is_gone_with_its_process() -> None:
    safety = safety_of(play("left-behind"))

    assert safety.anomalies == {"lost": safety.counts["gone"]}
    assert safety.counts["gone"] > 500


def test_an_unknown_scenario_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="unpicklable"):
        play("unpickleable", backend="queue")


def test_a_scenario_of_another_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="is about queue, not pipe"):
        play("unpicklable", backend="pipe")


def fake(monkeypatch: pytest.MonkeyPatch, of: str, seen: Seen, *, says_twice: bool) -> Safety:
    """The record's part of a scenario that logs one message, received once or twice, and saw this."""

    def acted(bench: Bench) -> Seen:
        with ProcessLog(bench.log(PROGRAM), PROGRAM) as log:
            log.invoke("send", 1)
            log.ok()
        with ProcessLog(bench.log(OTHER), OTHER) as log:
            for _ in range(2 if says_twice else 1):
                log.invoke("receive")
                log.ok(1)
        return seen

    monkeypatch.setitem(SCENARIOS, of, replace(SCENARIOS[of], play=acted))
    return safety_of(play(of))


def test_a_fix_that_does_not_help_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    safety = fake(monkeypatch, "unpicklable-set-right", Seen(finding="it came twice"), says_twice=True)

    assert safety.verdict == "invalid"
    assert safety.shown
    (line,) = texts(safety.broken)
    assert "did not help" in line
    assert "it came twice" in line


def test_a_library_that_does_not_err_is_no_fault_either(monkeypatch: pytest.MonkeyPatch) -> None:
    safety = fake(monkeypatch, "unpicklable", Seen(finding="it came once"), says_twice=False)

    assert (safety.verdict, safety.shown) == ("valid", False)


def test_nothing_is_said_where_the_condition_did_not_come_about(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(finding="it came once", produced=False)

    safety = fake(monkeypatch, "unpicklable-set-right", seen, says_twice=False)

    assert (safety.verdict, safety.shown) == ("unknown", None)
    assert "did not come about" in safety.finding


def test_what_a_process_of_a_scenario_raises_is_the_reason_of_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def acted(bench: Bench) -> Seen:
        bench.start("program", _raises).result()
        raise AssertionError("not reached")

    monkeypatch.setitem(SCENARIOS, "mutated", replace(SCENARIOS["mutated"], play=acted))

    record: TrialRecord = play("mutated")

    assert record.outcome == "failed"
    assert record.reason == "program raised: OSError: no such thing"


def test_all_is_undone_at_the_end_the_latest_first_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undone = tmp_path / "undone"

    def undo(what: str) -> None:
        with undone.open("a") as file:
            file.write(f"{what} ")

    def acted(bench: Bench) -> Seen:
        bench.at_end(undo, "first")
        bench.at_end(undo, "second")
        raise KeyboardInterrupt

    monkeypatch.setitem(SCENARIOS, "mutated", replace(SCENARIOS["mutated"], play=acted))

    # In the process of a trial, Ctrl-C is ignored: who raises it there has failed.
    assert play("mutated").reason == "queue: KeyboardInterrupt"
    assert undone.read_text() == "second first "


def test_a_scenario_that_stops_its_server_or_sets_it_otherwise_has_the_server_alone() -> None:
    hard = {name for name, scenario in SCENARIOS.items() if scenario.needs in ("pause", "settings")}
    specs = experiment.load("client").plan(experiment.Request(repeats=1)).trials
    assert {spec.scenario for spec in specs if lab.is_hard_on_its_broker(spec)} == hard
    assert {"retry-paused", "acknowledged-late"} < hard


def test_every_default_stands_beside_its_fix_under_the_same_conditions() -> None:
    found = list(SCENARIOS.values())
    for default, fix in zip(found[::2], found[1::2], strict=True):
        assert default.fix == fix.name
        assert not fix.fix
        assert default.setting != fix.setting
        assert _without_setting(default) == _without_setting(fix)


def _without_setting(scenario: Scenario) -> tuple[object, ...]:
    """All that is the same in both; what is played is the same function."""
    assert isinstance(scenario.play, partial)
    return (
        scenario.backend,
        scenario.model,
        scenario.guarantee,
        scenario.asked,
        scenario.needs,
        scenario.play.func,
    )


def test_the_documentation_says_of_every_scenario_what_the_registry_says() -> None:
    (found,) = [t for t in tables(SAFETY_PAGE.read_text()) if t[0][0] == "scenario"]
    rows = [[cell.replace("`", "") for cell in row] for row in found[1:]]
    known = [s for s in SCENARIOS.values() if s.fix]
    assert rows == [[s.name, s.asked, s.says, s.has, SCENARIOS[s.fix].setting] for s in known]


def test_the_experiment_has_a_title_for_every_scenario() -> None:
    client = experiment.load("client")
    trials = client.plan(experiment.Request(repeats=1)).trials

    assert [spec.scenario for spec in trials] == list(SCENARIOS)


def test_the_experiment_plays_the_scenarios_of_the_backends_that_were_asked_for() -> None:
    asked = experiment.Request(backends=(experiment.Variant("rabbitmq"),), repeats=1)

    trials = experiment.load("client").plan(asked).trials

    assert {spec.scenario.removesuffix("-set-right") for spec in trials} == set(defaults("rabbitmq"))


def test_the_experiment_refuses_options_of_a_backend() -> None:
    asked = experiment.Request(backends=(experiment.Variant.parse("rabbitmq:prefetch=1"),))

    with pytest.raises(UsageError, match="uses the library itself"):
        experiment.load("client").plan(asked)


def _raises(_parent: object) -> None:
    raise OSError("no such thing")
