"""Which candidates fit, which are ruled out and by what, and which are not known well enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ipclab.backends.registry import Variant
from ipclab.choose import candidates
from ipclab.choose.candidates import Candidate
from ipclab.choose.decide import Decision, conclude
from ipclab.choose.evidence import Evidence, Fault, Load
from ipclab.choose.needs import Needs
from ipclab.errors import UsageError

(QUEUE,) = candidates.of([Variant("queue")])
(PIPE,) = candidates.of([Variant("pipe")])
STREAM, STREAM_ON_DISK = candidates.of([Variant("redis-stream")])
(QUORUM,) = candidates.of([Variant("rabbitmq-quorum")])
(PUBSUB, *_) = candidates.of([Variant("redis-pubsub")])
(MAILBOX,) = candidates.of([Variant("manager-dict")])
(TICKET,) = candidates.of([Variant("memcached-ticket")])


def load(p99_ms: float | None = 8, **fields: Any) -> Load:
    p99_ns = None if p99_ms is None else round(p99_ms * 1e6)
    default: dict[str, Any] = {
        "run": "latency/1",
        "rate_per_s": 300,
        "size_bytes": 20_480,
        "producers": 1,
        "consumers": 3,
        "window": 1,
        "p50_ns": 1_000_000,
        "p99_ns": p99_ns,
        "p99_range_ns": (p99_ns, p99_ns) if p99_ns else None,
        "void": 0,
        "samples": 2000,
        "slow_share": 0.0,
        "carried": 1.0,
        "lost": 0,
        "others_cores": 0.0,
        "verdict": "kept",
        "reasons": [],
        "repeats": 3,
    }
    return Load(**(default | fields))


def kill(target: Any = "consumer", moment: Any = "busy", **fields: Any) -> Fault:
    default: dict[str, Any] = {
        "run": "crash/1",
        "action": "kill",
        "target": target,
        "moment": moment,
        "trials": 1,
        "kept": 1,
        "lost": 0,
        "duplicated": 0,
        "reordered": 0,
        "hung": [],
        "gave_up": [],
        "verdict": "kept",
    }
    return Fault(**(default | fields))


LOADED = Needs(may=frozenset({"repeat"}), rate_per_s=300, size_bytes=20_480, consumers=3, p99_ns=50_000_000)
SURVIVING = Needs(may=frozenset({"repeat"}), survive=frozenset({"consumer"}))
KILLS = (kill(), kill(moment="working"))


def judged(
    needs: Needs, one: Candidate, loads: tuple[Load, ...] = (), faults: tuple[Fault, ...] = ()
) -> Decision:
    return conclude(needs, [one], Evidence({one.key: loads}, {one.key: faults}))


def constraint(*arguments: Any) -> str:
    """Return the constraint that rules out the only candidate."""
    (one,) = judged(*arguments).rejected
    return one.constraint


@pytest.mark.parametrize(
    ("needs", "one", "by"),
    [
        (Needs(), PUBSUB, "fan-out"),
        (Needs(producers=2), PIPE, "producers"),
        (Needs(consumers=2), PIPE, "consumers"),
        (Needs(servers=frozenset()), STREAM, "servers"),
        (Needs(servers=frozenset({"redis"})), QUORUM, "servers"),
        (Needs(hosts=2), QUEUE, "hosts"),
        (Needs(size_bytes=20 << 20), QUORUM, "size"),
        (Needs(), TICKET, "overload"),
        (SURVIVING, QUEUE, "consumer"),
        (Needs(survive=frozenset({"producer"})), QUEUE, "producer"),
        (Needs(may=frozenset({"repeat"}), survive=frozenset({"broker"})), STREAM, "broker"),
        (Needs(may=frozenset({"repeat"}), survive=frozenset({"reboot"})), STREAM, "reboot"),
        (Needs(hosts=2), TICKET, "overload"),
        (Needs(), replace(QUEUE, declared=replace(QUEUE.declared, safe=False)), "unsafe"),
        (Needs(), replace(QUEUE, declared=replace(QUEUE.declared, may_lose={"expired"})), "expired"),
        (Needs(survive=frozenset({"consumer"})), STREAM, "repeat"),
        (Needs(), MAILBOX, "order"),
    ],
)
def test_a_declaration_rules_out(needs: Needs, one: Candidate, by: str) -> None:
    assert constraint(needs, one) == by
    (found,) = judged(needs, one).rejected
    assert (found.run, found.fault) == ("", "")


def test_a_connection_may_break_between_hosts() -> None:
    (listed, *_) = candidates.of([Variant("redis-list")])
    assert constraint(Needs(hosts=2), listed) == "connection"
    (fit,) = judged(Needs(hosts=2, may=frozenset({"lose"})), listed).fits
    assert fit.assumed == ["network"]


@pytest.mark.parametrize(
    ("fault", "by"),
    [
        (kill(verdict="broken"), "broken"),
        (kill(hung=["Queue.get (read lock)"], verdict="hung"), "hangs"),
        (kill(lost=2), "lost"),
        (kill(reordered=4), "reordered"),
        (kill(gave_up=["ConnectionError"], verdict="stopped"), "stops"),
    ],
)
def test_a_suffered_kill_rules_out_with_its_run_and_its_fault(fault: Fault, by: str) -> None:
    (one,) = judged(SURVIVING, STREAM, (), (fault, kill(moment="working"))).rejected
    assert (one.constraint, one.run, one.fault) == (by, "crash/1", "kill consumer, busy")


def test_a_repeat_that_was_seen_rules_out_unless_it_is_allowed() -> None:
    twice = (kill(duplicated=3, verdict="declared"), kill(moment="working"))
    needs = Needs(may=frozenset({"lose"}), survive=frozenset({"consumer"}))
    assert constraint(needs, QUEUE, (), twice) == "repeated"
    assert judged(SURVIVING, STREAM, (), twice).fits


@pytest.mark.parametrize(
    ("measured", "by"),
    [
        (load(slow_share=0.02), "p99"),
        (load(carried=0.9), "rate"),
        (load(lost=1), "lost"),
        (load(verdict="broken", reasons=["lost 1 message"]), "broken"),
    ],
)
def test_a_load_that_was_not_carried_as_needed_rules_out(measured: Load, by: str) -> None:
    (one,) = judged(LOADED, STREAM, (measured,)).rejected
    assert (one.constraint, one.run) == (by, "latency/1")


@pytest.mark.parametrize(
    ("measured", "gap"),
    [
        (load(slow_share=None, void=3), "other programs"),
        (load(samples=999), "too few samples"),
        (load(samples=999, void=1), "other programs"),
        (load(slow_share=None), "too few samples"),
        (load(verdict="failed"), "undecided"),
        (load(carried=None), "undecided"),
    ],
)
def test_a_load_that_proves_nothing_leaves_it_open(measured: Load, gap: str) -> None:
    (one,) = judged(LOADED, STREAM, (measured,)).open
    assert [missing.gap for missing in one.missing] == [gap]


@pytest.mark.parametrize(
    "field", [{"size_bytes": 20_000}, {"rate_per_s": 301}, {"consumers": 2}, {"producers": 2}]
)
def test_another_load_than_the_one_that_is_needed_shows_nothing(field: dict[str, Any]) -> None:
    (one,) = judged(LOADED, STREAM, (load(**field),)).open
    assert [(missing.gap, missing.target) for missing in one.missing] == [("no run", None)]


def test_a_percentile_that_is_withheld_does_not_hide_that_few_jobs_were_slow() -> None:
    assert judged(LOADED, STREAM, (load(p99_ms=None, slow_share=0.004),)).fits


def test_a_rate_that_was_missed_beside_other_programs_proves_nothing() -> None:
    needs = Needs(rate_per_s=300, size_bytes=20_480, consumers=3)
    (one,) = judged(needs, QUEUE, (load(carried=0.5, others_cores=0.9),)).open
    assert one.missing[0].gap == "other programs"
    assert one.load is not None
    assert constraint(needs, QUEUE, (load(carried=0.5),)) == "rate"


def test_a_repeat_that_kept_the_limit_counts_beside_one_that_is_void() -> None:
    assert judged(LOADED, STREAM, (load(void=2, others_cores=1.5),)).fits


def test_a_pass_beside_other_programs_counts() -> None:
    assert judged(LOADED, STREAM, (load(others_cores=1.5),)).fits


def test_the_newest_load_decides() -> None:
    assert judged(LOADED, STREAM, (load(), load(slow_share=0.5))).fits
    assert constraint(LOADED, STREAM, (load(slow_share=0.5), load())) == "p99"


@pytest.mark.parametrize(
    "faults", [(), (kill(),), (kill(), kill(moment="working", trials=0)), (kill("producer"),)]
)
def test_a_death_that_no_run_brought_about_in_every_needed_moment_is_open(faults: tuple[Fault, ...]) -> None:
    (one,) = judged(SURVIVING, STREAM, (), faults).open
    assert [(missing.gap, missing.target) for missing in one.missing] == [("no run", "consumer")]


def test_an_undecided_cell_leaves_it_open() -> None:
    (one,) = judged(SURVIVING, STREAM, (), (kill(verdict="unknown"), kill(moment="working"))).open
    assert one.missing[0].gap == "undecided"


def test_without_its_server_nothing_can_be_measured() -> None:
    found = conclude(LOADED, [STREAM, QUEUE], Evidence(), frozenset({"redis"}))
    assert {one.backend: one.missing[0].gap for one in found.open} == {
        "redis-stream": "no server",
        "queue": "no run",
    }


def test_settings_of_the_server_are_another_candidate_with_evidence_of_its_own() -> None:
    needs = Needs(may=frozenset({"repeat"}), survive=frozenset({"reboot"}))
    assert STREAM_ON_DISK.settings == {"appendonly": "yes", "appendfsync": "always"}
    found = judged(needs, STREAM_ON_DISK, (), (kill("broker"),))
    (fit,) = found.fits
    assert (fit.settings["appendonly"], fit.assumed) == ("yes", ["reboot", "reconnect"])
    (unknown,) = conclude(needs, [STREAM_ON_DISK], Evidence({}, {STREAM.key: [kill("broker")]})).open
    assert unknown.missing[0].target == "broker"


def test_what_the_lab_cannot_measure_under_settings_is_named_so() -> None:
    needs = Needs(
        may=frozenset({"repeat"}), survive=frozenset({"consumer"}), rate_per_s=300, size_bytes=20_480
    )
    (one,) = judged(needs, STREAM_ON_DISK).open
    assert [missing.gap for missing in one.missing] == ["settings", "settings"]


def test_the_lowest_p99_is_first_and_what_overlaps_it_is_tied_with_the_simplest_first() -> None:
    slow = replace(PIPE, name="slow", variant=Variant("pipe-locked"))
    loads = {
        STREAM.key: [load(8, p99_range_ns=(7_000_000, 9_000_000))],
        QUEUE.key: [load(9, p99_range_ns=(8_500_000, 9_500_000))],
        slow.key: [load(40)],
    }
    needs = Needs(rate_per_s=300, size_bytes=20_480, consumers=3)
    found = conclude(needs, [replace(slow, max_consumers=None), STREAM, QUEUE], Evidence(loads))
    assert ([fit.backend for fit in found.fits], found.tied) == (["queue", "redis-stream", "slow"], 2)


def test_without_a_load_what_needs_no_server_is_first() -> None:
    found = conclude(Needs(), [STREAM, QUEUE], Evidence())
    assert ([fit.backend for fit in found.fits], found.tied) == (["queue", "redis-stream"], 0)


def test_a_decision_names_all_settings_and_the_claims() -> None:
    (fit,) = judged(Needs(), STREAM).fits
    assert fit.options == {"min_idle_ms": 1000}
    assert fit.claims == ["brokers_as_middleware"]


@pytest.mark.parametrize("needs", [Needs(p99_ns=1), Needs(rate_per_s=1), Needs(hosts=0)])
def test_needs_that_lack_a_part_are_refused(needs: Needs) -> None:
    with pytest.raises(UsageError):
        needs.check()
