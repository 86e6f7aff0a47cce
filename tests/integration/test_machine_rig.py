"""The rig of machines itself: apart from each other while it lasts, and without a trace afterwards."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clock_probe import probe
from tests.support.machines import Clock, Machine, Rig, machines, why_no_namespaces

pytestmark = pytest.mark.skipif(
    why_no_namespaces() is not None, reason=f"needs network and time namespaces: {why_no_namespaces()}"
)
HOLD_A_RIG = """
import sys
from tests.support.machines import Clock, machines
with machines([Clock()]) as rig:
    print(rig.machines[0].holder.pid, flush=True)
    sys.stdin.read()
"""


def network(rig: Rig) -> set[int]:
    """The inodes of the network namespaces of all machines and of the desk."""
    done = subprocess.run(
        rig.at_desk("stat", "-Lc", "%i", "/proc/self/ns/net"), stdout=subprocess.PIPE, check=True
    )
    holders = [machine.holder for machine in rig.machines]
    return {int(done.stdout)} | {
        Path(f"/proc/{holder.pid}/ns/net").stat().st_ino for holder in holders if holder is not None
    }


def still_there(inodes: set[int]) -> list[str]:
    """The processes that are in one of these network namespaces."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/net").stat().st_ino in inodes:
                found.append((process / "cmdline").read_text())
        except OSError:  # it ended meanwhile
            continue
    return found


def at_work(machine: Machine) -> subprocess.Popen[bytes]:
    """A process that runs on the machine by now, and has long to run."""
    command = machine.command("sh", "-c", "echo up && exec sleep 300")
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_a_machine_has_a_name_a_process_table_and_shared_memory_of_its_own() -> None:
    look = "import os,socket; print(socket.gethostname(), os.getpid() < 100, os.listdir('/dev/shm'))"
    with machines([Clock(), Clock()]) as rig:
        said = [subprocess.check_output(machine.python("-c", look), text=True) for machine in rig.machines]
    assert said == ["machine-0 True []\n", "machine-1 True []\n"]


def test_nothing_is_left_after_a_failure_in_the_middle() -> None:
    inodes: set[int] = set()
    working: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with machines([Clock(), Clock(10**9)]) as rig:
            inodes.update(network(rig))
            working.append(at_work(rig.machines[1]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with working[0] as process:
        assert process.wait(20) != 0
    assert len(inodes) == 3
    assert still_there(inodes) == []


def test_nothing_is_left_where_the_process_of_the_test_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as test:
        assert test.stdout is not None
        unshare = os.pidfd_open(int(test.stdout.readline()))
        test.kill()
    try:
        assert select.select([unshare], [], [], 20)[0]
    finally:
        os.close(unshare)


def test_a_machine_without_power_has_no_processes_and_one_without_a_cable_no_echoes() -> None:
    with machines([Clock(), Clock()]) as rig:
        first, second = rig.machines
        with probe(rig, 0) as echo:
            assert len(echo.ask(count=2)) == 2
            first.unplug()
            assert echo.ask(count=2, deadline_s=0.2) == []
            first.plug()
            assert echo.ask(count=2)
        with at_work(second) as working:
            second.power_off()
            assert working.wait(20) != 0
