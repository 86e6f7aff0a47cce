"""Private servers of ``ipclab up``: they outlive it, and are found, used, replaced, passed over and ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ipclab.backends.base import BrokerKind
from ipclab.brokers import acquire, down, processes, status, up
from ipclab.brokers.kinds.redis import probe as redis_probe
from tests.support.servers import all_gone, answers, recorded, require_server

DEADLINE_S = 60.0
QUICK: tuple[BrokerKind, ...] = ("redis", "memcached")


def test_what_up_started_outlives_its_process_and_is_found_used_and_ended(own_state: Path) -> None:
    require_server(*QUICK)
    program = f"from ipclab import brokers; brokers.up({QUICK!r}, provider='native', install=False)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE_S)
    lasting = recorded()
    try:
        with acquire(QUICK, provider="native", install=False) as fleet:
            shown = {s.kind: s for s in status() if s.provider == "native"}
            assert {kind: s.where for kind, s in shown.items()} == {
                kind: broker.where for kind, broker in fleet.brokers.items()
            }
            assert all(s.ours and s.held_by_run is None for s in shown.values())
        assert not any(not processes.is_alive(process) for process in lasting)
    finally:
        ended = down()
    assert {s.kind for s in ended if s.provider == "native"} == set(QUICK)
    assert all_gone(lasting)
    assert list(own_state.iterdir()) == []


def test_up_replaces_a_lasting_server_that_has_died(own_state: Path) -> None:
    require_server("redis")
    up(["redis"], provider="native", install=False)
    try:
        processes.end(recorded())
        again = up(["redis"], provider="native", install=False)
        assert answers(again.brokers["redis"])
        assert len(list(own_state.iterdir())) == 1
    finally:
        down()


def test_a_lasting_redis_that_another_run_has_set_otherwise_is_not_measured(own_state: Path) -> None:
    require_server("redis")
    lasting = up(["redis"], provider="native", install=False).brokers["redis"]
    try:
        with redis_probe.client(lasting.url) as client:
            client.config_set("appendonly", "yes")
        with acquire(["redis"], provider="native", install=False) as fleet:
            assert fleet.brokers["redis"].url != lasting.url
            assert "another run has set appendonly=yes; 'ipclab down'" in fleet.passed_over["redis"]
    finally:
        down()
    assert list(own_state.iterdir()) == []


def test_down_tells_of_the_servers_of_a_killed_run_that_it_ends(own_state: Path) -> None:
    require_server("redis")
    program = (
        "import os, signal; from ipclab import brokers; from ipclab.brokers import processes\n"
        "fleet = brokers.acquire(['redis'], provider='native', install=False)\n"
        "processes.end([fleet._keeper])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=DEADLINE_S)
    assert list(own_state.iterdir()) != []
    (ended,) = down()
    assert ended.kind == "redis"
    assert "left behind by the run with pid" in ended.where
    assert list(own_state.iterdir()) == []


def test_a_run_that_breaks_its_server_takes_none_that_another_run_uses(own_state: Path) -> None:
    require_server("redis")
    lasting = up(["redis"], provider="native", install=False).brokers["redis"]
    try:
        with acquire(["redis"], provider="native", install=False) as using:
            assert using.brokers["redis"].url == lasting.url
            with acquire(["redis"], provider="native", install=False, exclusive=["redis"]) as breaking:
                assert breaking.brokers["redis"].url != lasting.url
                assert "another run uses it" in breaking.passed_over["redis"]
    finally:
        down()
    assert list(own_state.iterdir()) == []


def test_a_server_that_a_run_breaks_is_passed_over_by_others_and_kept_by_up(own_state: Path) -> None:
    require_server("redis")
    lasting = up(["redis"], provider="native", install=False).brokers["redis"]
    try:
        with acquire(["redis"], provider="native", install=False, exclusive=["redis"]) as breaking:
            broker = breaking.brokers["redis"]
            assert broker.url == lasting.url
            with acquire(["redis"], provider="native", install=False) as other:
                assert other.brokers["redis"].url != lasting.url
            broker.kill()
            up(["memcached"], provider="native", install=False)
            broker.restart()
            assert answers(broker)
    finally:
        down()
    assert list(own_state.iterdir()) == []
