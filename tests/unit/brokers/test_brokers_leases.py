"""A server of ``up`` is for many runs, or for one that breaks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipclab.brokers.leases import Lease


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_many_runs_share_a_server_and_keep_out_one_that_would_break_it() -> None:
    first, second = (Lease.take("redis-1", exclusive=False) for _ in range(2))
    assert first is not None
    assert second is not None
    assert Lease.take("redis-1", exclusive=True) is None
    first.release()
    assert Lease.take("redis-1", exclusive=True) is None
    second.release()
    breaking = Lease.take("redis-1", exclusive=True)
    assert breaking is not None
    breaking.release()


def test_a_run_that_breaks_a_server_keeps_out_all_others() -> None:
    breaking = Lease.take("redis-1", exclusive=True)
    assert breaking is not None
    assert Lease.take("redis-1", exclusive=False) is None
    assert Lease.take("redis-1", exclusive=True) is None
    other = Lease.take("memcached-1", exclusive=True)
    assert other is not None
    other.release()
    breaking.release()


def test_leases_that_are_given_back_leave_no_file(home: Path) -> None:
    leases = [Lease.take("redis-1", exclusive=False) for _ in range(3)]
    assert list(home.iterdir()) != []
    for lease in leases:
        assert lease is not None
        lease.release()
        lease.release()
    assert list(home.iterdir()) == []


def test_a_lease_ends_with_its_process_also_where_a_forked_child_outlives_it() -> None:
    program = (
        "import os, time; from ipclab.brokers.leases import Lease\n"
        "lease = Lease.take('redis-1', exclusive=True)\n"
        "child = os.fork()\n"
        "if child == 0: time.sleep(60)\n"
        "print(child, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        try:
            assert Lease.take("redis-1", exclusive=False) is None
            run.kill()
            run.wait()
            deadline = time.monotonic() + 10
            while (lease := Lease.take("redis-1", exclusive=False)) is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            lease.release()
        finally:
            os.kill(child, signal.SIGKILL)
