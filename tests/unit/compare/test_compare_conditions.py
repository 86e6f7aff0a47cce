"""What must be the same in two runs, and what may differ and is named."""

from __future__ import annotations

from typing import Any

import pytest

from ipclab.compare import conditions
from ipclab.compare.comparison import compare
from ipclab.errors import UsageError
from ipclab.trial.record import BrokerFacts
from tests.support.digests import environment, row, run


def redis(**fields: Any) -> BrokerFacts:
    default: dict[str, Any] = {"kind": "redis", "provider": "native", "version": "7.0.15", "url": ""}
    return BrokerFacts(**(default | fields))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (run(), run(experiment="latency"), "experiment: throughput → latency"),
        (
            run(),
            run(environment=environment(processor="Other CPU")),
            "processor: Some CPU @ 2 GHz → Other CPU",
        ),
        (run(), run(environment=environment(cores=4)), "cores: 2 → 4"),
        (run(), run(brokers=[redis(provider="compose")]), "provider of redis: native → compose"),
        (run(row()), run(row(of={"start_method": "spawn"})), "start method: fork → spawn"),
        (run(row()), run(row(of={"shape": "4→1"})), "shape: 1→1 → 4→1"),
        (run(row()), run(row(of={"size_bytes": 64})), "message size: 1 KiB → 64 B"),
        (run(row()), run(row(of={"window": 100})), "window: 1 → 100"),
        (
            run(row(of={"rate_per_s": 100.0})),
            run(row(of={"rate_per_s": 500.0})),
            "offered rate: 100 /s → 500 /s",
        ),
        (run(row()), run(row(durations_s={"stream": 3.0})), "duration of stream trials: 1 s → 3 s"),
    ],
)
def test_another_condition_is_refused_and_named(old: Any, new: Any, named: str) -> None:
    with pytest.raises(UsageError) as refused:
        compare(old, new)
    assert named in str(refused.value)
    assert refused.value.exit_code == 2


def test_all_that_differs_is_named_at_once() -> None:
    other = run(row(of={"size_bytes": 64}), environment=environment(cores=4))
    found = [difference.what for difference in conditions.refused(run(row()), other)]
    assert found == ["cores", "message size"]


@pytest.mark.parametrize(
    ("new", "named"),
    [
        (run(environment=environment(python="3.14.0")), "Python: CPython 3.13.1 → CPython 3.14.0"),
        (run(environment=environment(ipclab="0.2.0")), "ipclab: 0.1.0 → 0.2.0"),
        (run(environment=environment(system="Linux 6.8")), "kernel: Linux 6.1 → Linux 6.8"),
        (run(environment=environment(libraries={"redis": "7.0"})), "redis: 6.0 → 7.0"),
        (run(brokers=[redis(version="7.2", settings={"appendonly": "no"})]), "redis: 7.0.15 → 7.2"),
        (run(brokers=[redis(settings={"appendonly": "yes"})]), "redis setting appendonly: no → yes"),
    ],
)
def test_versions_and_the_servers_settings_are_named_and_allowed(new: Any, named: str) -> None:
    found = compare(
        run(row()),
        new if new.rows else run(row(), environment=new.environment, brokers=new.brokers),
    )
    assert [difference.text for difference in found.differences] == [named]


def test_a_server_that_one_run_did_not_use_is_no_difference() -> None:
    assert conditions.refused(run(row(), brokers=[]), run(row())) == []


def test_a_busy_machine_is_told() -> None:
    found = compare(run(row()), run(row(), environment=environment(load_1min=1.7)))
    assert "busy new" in found.notes
    assert "busy old" not in found.notes


def test_what_others_used_during_a_run_outweighs_the_load_at_its_beginning() -> None:
    idle = run(row(), environment=environment(load_1min=9.0), others_cores=0.1)
    assert not conditions.busy(idle)
    assert conditions.busy(run(row(), others_cores=1.2))


def test_runs_one_after_the_other_are_told() -> None:
    later = run(row(), began_utc="2026-01-03T00:00:00+00:00", ended_utc="2026-01-03T00:01:00+00:00")
    assert "sequential" in compare(run(row()), later).notes
    assert "sequential" not in compare(run(row()), run(row())).notes


def test_a_row_that_is_missing_is_reported_and_not_passed() -> None:
    from ipclab.results.result import Unavailable

    gone = [Unavailable(backend="redis-list", reason="no Redis")]
    found = compare(run(row("pipe"), row("redis-list")), run(row("pipe"), unavailable=gone))
    assert [(one.row, one.reason) for one in found.missing] == [("redis-list 1→1 1 KiB", "no Redis")]
    assert found.verdict == "undecided"
    assert found.exit_code == 3
