"""What stored runs show: loads from paced trials, faults from the fault matrix, each for its mode alone."""

from __future__ import annotations

import msgspec

from ipclab.backends.registry import Variant
from ipclab.choose.candidates import key_of, of
from ipclab.choose.evidence import Machine, gather
from ipclab.trial.record import TrialRecord
from tests.support import safety
from tests.support.records import Make

MAKE = Make()
IDLE = msgspec.structs.replace(MAKE.cost(), others_cores=0.0)
FAST = [1_000_000] * 990 + [5_000_000] * 30


def paced(backend: str = "queue", rate: float = 300.0, **spec: object) -> list[TrialRecord]:
    made = {"size_bytes": 2048, "consumers": 3, **spec}
    return [MAKE.paced(backend, FAST, rate=rate, repeat=repeat, spec=made, cost=IDLE) for repeat in range(3)]


def test_a_paced_row_is_a_load_of_its_mode() -> None:
    found = gather([("latency/1", MAKE.result(paced()))])
    (load,) = found.loads[key_of(Variant("queue"), {})]
    assert (load.run, load.rate_per_s, load.size_bytes, load.producers, load.consumers) == (
        "latency/1", 300.0, 2048, 1, 3,
    )  # fmt: skip
    assert (load.verdict, load.repeats, load.carried) == ("kept", 3, 1.0)
    assert load.p50_ns is not None
    assert abs(load.p50_ns - 1_000_000) < 2_000


def test_the_share_of_slow_jobs_is_counted_by_the_limit() -> None:
    runs = [("latency/1", MAKE.result(paced()))]
    for limit_ns, share in ((10_000_000, 1 / 1021), (2_000_000, 31 / 1021)):
        (load,) = gather(runs, None, limit_ns).loads[key_of(Variant("queue"), {})]
        assert load.samples == 3 * 1020
        # One job of each trial was skipped.
        assert load.slow_share is not None
        assert abs(load.slow_share - share) < 1e-6


def test_a_repeat_that_missed_the_limit_beside_other_programs_is_void() -> None:
    slow = [60_000_000] * 1020
    busy = msgspec.structs.replace(MAKE.cost(), others_cores=1.5)
    spec = {"size_bytes": 2048, "consumers": 3}
    trials = [
        MAKE.paced("queue", slow, rate=300, repeat=0, spec=spec, cost=busy),
        MAKE.paced("queue", FAST, rate=300, repeat=1, spec=spec, cost=busy),
    ]
    (load,) = gather([("latency/1", MAKE.result(trials))], None, 50_000_000).loads[
        key_of(Variant("queue"), {})
    ]
    assert (load.void, load.repeats, load.samples) == (1, 2, 1020)
    assert load.slow_share is not None
    assert load.slow_share < 0.01


def test_the_newest_run_is_first() -> None:
    runs = [(name, MAKE.result(paced())) for name in ("latency/1", "latency/2")]
    loads = gather(runs).loads[key_of(Variant("queue"), {})]
    assert [load.run for load in loads] == ["latency/2", "latency/1"]


def test_closed_loop_trials_are_no_load() -> None:
    assert gather([("throughput/1", MAKE.result([MAKE.stream("queue", 300.0)]))]).loads == {}


def test_a_default_that_is_written_out_is_the_same_mode() -> None:
    one, other = Variant("rabbitmq"), Variant.parse("rabbitmq:confirm=publisher,ack=manual")
    assert key_of(one, {}) == key_of(other, {})
    assert key_of(one, {}) != key_of(Variant.parse("rabbitmq:ack=auto"), {})
    assert [str(c.variant) for c in of([one, other])] == ["rabbitmq"]


def test_trials_under_settings_of_the_server_are_of_another_candidate() -> None:
    settings = {"appendonly": "yes"}
    trials = [*paced("redis-list"), *paced("redis-list", broker_settings=settings)]
    found = gather([("latency/1", MAKE.result(trials))])
    (plain,) = found.loads[key_of(Variant("redis-list"), {})]
    (set_,) = found.loads[key_of(Variant("redis-list"), settings)]
    assert (plain.repeats, set_.repeats) == (3, 3)


def test_a_cell_of_the_fault_matrix_is_a_fault() -> None:
    trial = safety.crash("redis-stream", "kill consumer, working", counts={"duplicated": 3})
    found = gather([("crash/1", MAKE.result([trial]))])
    (fault,) = found.faults[key_of(Variant("redis-stream"), {})]
    assert (fault.run, fault.action, fault.target, fault.moment) == (
        "crash/1", "kill", "consumer", "working",
    )  # fmt: skip
    assert (fault.trials, fault.duplicated) == (1, 3)


def test_a_run_of_another_machine_shows_nothing_about_this_one() -> None:
    result = MAKE.result(paced())
    here = Machine.of(result.environment)
    assert gather([("latency/1", result)], here).loads
    assert not gather([("latency/1", result)], here._replace(cores=here.cores + 1)).loads


def test_a_backend_that_is_not_here_any_more_is_left_out() -> None:
    assert gather([("latency/1", MAKE.result(paced("gone")))]).loads == {}
