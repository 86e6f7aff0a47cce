"""Latencies between machines whose true clocks are known: every figure is within its bound, or withheld."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab.brokers import kinds
from ipclab.hosts.clock_bound import ClockMap, OffsetBound
from ipclab.results import units
from ipclab.results.reader import parse
from ipclab.trial.record import Machines, TrialRecord
from tests.support.machines import DESK_ADDRESS, Clock, Delay, Rig, machines, why_no_delay, why_no_namespaces
from tests.support.servers import require_server

PORT = 6399
SECOND_NS = 10**9
pytestmark = pytest.mark.skipif(
    why_no_namespaces() is not None, reason=f"needs network and time namespaces: {why_no_namespaces()}"
)


@contextlib.contextmanager
def redis_at_desk(rig: Rig, folder: Path) -> Iterator[None]:
    """Run a Redis that all machines reach."""
    require_server("redis")
    program = str(kinds.get("redis").find_program())
    settings = ["--bind", DESK_ADDRESS, "--port", str(PORT), "--save", "", "--protected-mode", "no"]
    command = rig.at_desk(program, *settings, "--dir", folder)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert any("eady to accept" in line for line in server.stdout)
            yield
        finally:
            server.terminate()


def measure(rig: Rig, folder: Path, *options: str) -> tuple[TrialRecord, Machines, str]:
    """Return the only trial of `run latency` over all machines of a rig, and the table."""
    hosts = [word for one in rig.machines for word in ("--host", f"exec:{shlex.join(one.python())}")]
    run = ["run", "latency", "--backend", "redis-stream", "--duration", "0.5", "--repeats", "1"]
    with redis_at_desk(rig, folder):
        done = subprocess.run(
            rig.at_desk(sys.executable, "-m", "ipclab", *run, *hosts, *options, "--results", folder / "kept"),
            env={**os.environ, "REDIS_URL": f"redis://{DESK_ADDRESS}:{PORT}"},
            capture_output=True,
            text=True,
            timeout=90,
        )
    assert done.returncode == 0, done.stderr
    (file,) = (folder / "kept").rglob("result.json")
    (trial,) = parse(file.read_bytes(), str(file)).trials
    assert (trial.outcome, trial.reason) == ("finished", "")
    assert trial.ledger is not None
    assert trial.ledger.verdict == "valid"
    assert trial.machines is not None
    return trial, trial.machines, done.stdout


def require_truth(rig: Rig, found: Machines) -> None:
    """Fail where a true offset or a true drift is outside what the record says of it."""
    reference = rig.machines[found.reference - 1].clock
    assert reference.drift_ppm == 0
    for one in found.machines:
        machine = rig.machines[one.number - 1]
        assert isinstance(one.clock, ClockMap)
        if one.number == found.reference:
            assert one.clock.before is None
            continue
        for burst in (one.clock.before, one.clock.after):
            assert isinstance(burst, OffsetBound)
            true_ns = machine.true_ns(burst.at_ns - reference.offset_ns) - burst.at_ns
            assert burst.low_ns <= true_ns <= burst.high_ns + 1
        assert abs(one.clock.drift_ppm - machine.clock.drift_ppm) <= one.clock.drift_bound_ppm + 0.01
        assert one.clock.pings > 0


def test_clocks_that_lie_and_drift_apart_are_mapped_within_the_bound_that_is_shown(tmp_path: Path) -> None:
    clocks = [Clock(5_000 * SECOND_NS, drift_ppm=50), Clock(), Clock(90_000 * SECOND_NS, drift_ppm=-20)]
    place = ("--producers", "2", "--consumers", "2", "--place", "producer=1,3", "--place", "consumer=2,3")
    with machines(clocks) as rig:
        trial, found, table = measure(rig, tmp_path, "--rate", "400", *place)
        require_truth(rig, found)
    assert found.reference == 2
    assert found.bound_ns is not None
    if found.withheld is None:
        assert trial.latency.end_to_end is not None
        # A latency is above zero, so what is shown is below it by no more than the bound.
        assert trial.latency.end_to_end.min_ns >= -found.bound_ns
        assert f"{units.bound(found.bound_ns)}  the largest error" in table
    else:  # the machine was so busy that no echo was quick
        assert found.withheld.found > found.withheld.allowed
    # Machine 3 has a producer and a consumer.
    assert trial.latency.same_machine is not None
    assert trial.latency.same_machine.negative == 0


@pytest.mark.skipif(why_no_delay() is not None, reason=f"a delay needs namespaces and TAP: {why_no_delay()}")
def test_a_delay_in_one_direction_withholds_one_way_figures_and_keeps_those_of_one_machine(
    tmp_path: Path,
) -> None:
    place = ("--producers", "2", "--consumers", "1", "--place", "producer=1,2", "--place", "consumer=1")
    with machines([Clock(), Clock(7 * SECOND_NS)], {1: Delay(in_ns=20_000_000)}) as rig:
        trial, found, table = measure(rig, tmp_path, "--rate", "20", *place)
        require_truth(rig, found)
    assert found.bound_ns is not None
    assert found.withheld is not None
    assert found.withheld.reason == "wide"
    assert found.withheld.found == found.bound_ns > 9_000_000
    assert trial.latency.end_to_end is trial.latency.service is None
    assert trial.latency.same_machine is not None
    assert "within one machine, need no second clock" in " ".join(table.split())
