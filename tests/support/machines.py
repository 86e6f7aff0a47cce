"""Several machines on one: each has its own network, processes, host name and clock, and the truth is known.

``machines([Clock(), Clock(offset_ns=5_000 * 10**9)])`` makes two network namespaces that a bridge joins, each
with a UTS, a PID, a mount and a *time* namespace. ``time.perf_counter_ns`` of a process there is that of this
machine plus exactly the offset. A drift comes from a shim in each Python process. It works as root, and in a
user namespace without. Where the kernel has no such namespaces, the machines are processes on the loopback
with the shim alone, and ``Rig.kind`` says so.

All is gone at the end of the ``with`` block, and also where this process is killed: each namespace
lives as long as a process that reads from a pipe of ours.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

SUPPORT = Path(__file__).parent
PREFIX = "10.77.0"
DESK_ADDRESS = f"{PREFIX}.254"
# The offset has to be written before the first process is in the namespace: an exec may be one.
IN_TIME = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x80):
    sys.exit(f"no time namespace: {os.strerror(ctypes.get_errno())}")
seconds, nanoseconds = divmod(int(sys.argv[1]), 10**9)
with open("/proc/self/timens_offsets", "w") as offsets:
    offsets.write(f"monotonic {seconds} {nanoseconds}")
os.execvp(sys.argv[2], sys.argv[2:])
"""
# The shell is process 1 and reaps. It ends with its standard input.
FIRST_PROCESS = "hostname machine-$0 && mount -t tmpfs tmpfs /dev/shm && echo ready && cat; exit"


@dataclass(frozen=True, slots=True)
class Clock:
    """What a machine's clock shows: this machine's clock, ``offset_ns`` and ``drift_ppm`` since the start."""

    offset_ns: int = 0
    drift_ppm: int = 0


@dataclass(frozen=True, slots=True)
class Delay:
    """What a frame waits on its way to (``in_ns``) and from (``out_ns``) a machine, plus some jitter."""

    in_ns: int = 0
    out_ns: int = 0
    jitter_ns: int = 0


@dataclass(slots=True)
class Machine:
    """One machine of a rig. ``address`` is reached from the others and from the desk."""

    number: int
    address: str
    clock: Clock
    origin_ns: int
    enter: list[str]
    holder: subprocess.Popen[str] | None = None
    first_pidfd: int | None = None
    port: str = ""
    desk: list[str] = field(default_factory=list)

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command that runs ``arguments`` on this machine, started from this process's machine."""
        shim = [] if not self._shim else ["env", *self._shim]
        return [*self.enter, *shim, *map(str, arguments)]

    def python(self, *arguments: str | Path) -> list[str]:
        """Return the command that runs this interpreter on the machine."""
        return self.command(sys.executable, *arguments)

    @property
    def _shim(self) -> list[str]:
        offset_ns = 0 if self.enter else self.clock.offset_ns
        if not offset_ns and not self.clock.drift_ppm:
            return []
        # The shim sees the clock of the namespace, so the drift begins at the origin on that clock.
        origin_ns = self.origin_ns + (self.clock.offset_ns if self.enter else 0)
        path = os.pathsep.join(filter(None, [str(SUPPORT / "clock_shim"), os.environ.get("PYTHONPATH")]))
        return [f"PYTHONPATH={path}", f"IPCLAB_TEST_CLOCK={offset_ns},{self.clock.drift_ppm},{origin_ns}"]

    def true_ns(self, here_ns: int) -> int:
        """Return what this machine's clock shows when the clock of this process shows ``here_ns``."""
        drifted_ns = (here_ns - self.origin_ns) * self.clock.drift_ppm // 1_000_000
        return here_ns + self.clock.offset_ns + drifted_ns

    def power_off(self) -> None:
        """Kill every process of the machine at once; return when all are gone. Needs namespaces."""
        assert self.holder is not None, "a machine on the loopback has no power switch"
        _end(self.holder, self.first_pidfd)

    def unplug(self) -> None:
        """Take the machine off the network: frames are lost in both directions. Needs namespaces."""
        self._link("down")

    def plug(self) -> None:
        """Connect the machine again."""
        self._link("up")

    def _link(self, state: str) -> None:
        assert self.port, "a machine on the loopback has no cable"
        _ip(self.desk, f"link set {self.port} {state}")


@dataclass(frozen=True, slots=True)
class Rig:
    """Machines that reach each other. The desk has the clock of this process, and reaches all of them."""

    kind: Literal["namespaces", "loopback"]
    machines: tuple[Machine, ...]
    desk: list[str]
    desk_address: str

    def at_desk(self, *arguments: str | Path) -> list[str]:
        """Return the command that runs ``arguments`` at the desk, from which the machines can be reached."""
        return [*self.desk, *map(str, arguments)]


@functools.cache
def why_no_namespaces() -> str | None:
    """Return what is missing for machines in namespaces, or None."""
    missing = [tool for tool in ("unshare", "nsenter", "ip") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (apt-get install util-linux iproute2)"
    try:
        with _namespaces([Clock(1)], {}):
            return None
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        return str(error)


def why_no_delay() -> str | None:
    """Return what is missing for a delay, or None."""
    if (why := why_no_namespaces()) is not None:
        return why
    return None if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "/dev/net/tun cannot be opened"


@contextlib.contextmanager
def machines(clocks: Sequence[Clock], delays: dict[int, Delay] | None = None) -> Iterator[Rig]:
    """Yield one machine for each clock; ``delays`` are by the number of the machine.

    The loopback variant, where namespaces are missing, has no delays: raise RuntimeError for one.
    """
    why = why_no_delay() if delays else why_no_namespaces()
    if why is None:
        with _namespaces(clocks, delays or {}) as rig:
            yield rig
    elif delays:
        raise RuntimeError(why)
    else:
        with loopback(clocks) as rig:
            yield rig


@contextlib.contextmanager
def loopback(clocks: Sequence[Clock]) -> Iterator[Rig]:
    """Yield machines that are only processes of this one, with the clock of the shim."""
    origin_ns = time.perf_counter_ns()
    yield Rig(
        "loopback",
        tuple(Machine(i, "127.0.0.1", c, origin_ns, []) for i, c in enumerate(clocks)),
        [],
        "127.0.0.1",
    )


@contextlib.contextmanager
def _namespaces(clocks: Sequence[Clock], delays: dict[int, Delay]) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        hub = _holder(stack, ["unshare", *user, "--net", "sh", "-c", "echo ready && exec cat"])
        enter_user = ["--user", "--preserve-credentials"] if user else []
        desk = ["nsenter", f"--target={hub.pid}", *enter_user, "--net", "--"]
        _ip(
            desk,
            "link set lo up",
            "link add br0 type bridge",
            f"address add {DESK_ADDRESS}/24 dev br0",
            "link set br0 address 02:00:00:00:00:fe",
            "link set br0 up",
        )
        made = []
        for number, clock in enumerate(clocks):
            made.append(_machine(stack, desk, enter_user, number, clock, delays.get(number)))
        yield Rig("namespaces", tuple(made), desk, DESK_ADDRESS)


def _machine(
    stack: contextlib.ExitStack,
    desk: list[str],
    enter_user: list[str],
    number: int,
    clock: Clock,
    delay: Delay | None,
) -> Machine:
    apart = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    first = ["unshare", *apart, "sh", "-c", FIRST_PROCESS, str(number)]
    holder = _holder(stack, [*desk, sys.executable, "-c", IN_TIME, str(clock.offset_ns), *first])
    spaces = Path(f"/proc/{holder.pid}/ns")
    enter = ["nsenter", f"--target={holder.pid}", *enter_user, "--net", "--uts", "--mount"]
    enter += [f"--pid={spaces}/pid_for_children", f"--time={spaces}/time_for_children", "--"]
    address, port = f"{PREFIX}.{number + 1}", f"port{number}"
    if delay is None:
        _ip(desk, f"link add {port} type veth peer name eth0 netns {holder.pid}")
    else:
        relay = [sys.executable, str(SUPPORT / "delay_relay.py"), f"tap{number}", port]
        _holder(stack, [*desk, *relay, str(delay.in_ns), str(delay.out_ns), str(delay.jitter_ns)])
        _ip(desk, f"link set tap{number} netns {holder.pid} name eth0")
    _ip(desk, f"link set {port} master br0 up")
    _ip(
        enter,
        "link set lo up",
        f"link set eth0 address 02:00:00:00:00:{number + 1:02x}",
        f"address add {address}/24 dev eth0",
        "link set eth0 up",
    )
    return Machine(
        number=number,
        address=address,
        clock=clock,
        origin_ns=time.perf_counter_ns(),
        enter=enter,
        holder=holder,
        first_pidfd=_only_child(stack, holder.pid),
        port=port,
        desk=desk,
    )


def _holder(stack: contextlib.ExitStack, command: list[str]) -> subprocess.Popen[str]:
    """Start a process that lives until its standard input ends; return when it is ready."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    stack.callback(_close, process)
    assert process.stdout is not None
    assert process.stderr is not None
    if not select.select([process.stdout], [], [], 20)[0] or process.stdout.readline() != "ready\n":
        process.kill()
        raise RuntimeError(f"{command[0]}: {process.stderr.read().strip()[-300:]}")
    return process


def _only_child(stack: contextlib.ExitStack, pid: int) -> int:
    """Return a descriptor that is readable when the child, and with it its namespace, has ended."""
    child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    pidfd = os.pidfd_open(child)
    stack.callback(_close_first, pid, pidfd)
    return pidfd


def _close_first(holder: int, pidfd: int) -> None:
    """End process 1 of a machine, and with it all of its processes; wait until they are gone."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    gone = select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
    if not gone:
        raise RuntimeError(f"the machine of process {holder} did not end within 20 s")


def _end(holder: subprocess.Popen[str], pidfd: int | None) -> None:
    """Kill ``unshare``, which does not end by a gentler signal; its child has to end with it."""
    holder.kill()
    holder.wait()
    if pidfd is not None:
        select.select([pidfd], [], [], 20)


def _close(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _ip(enter: list[str], *lines: str) -> None:
    """Carry out lines of ``ip``; raise RuntimeError with what it says where one fails."""
    done = subprocess.run(
        [*enter, "ip", "-batch", "-"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=20,
    )
    if done.returncode:
        raise RuntimeError(f"ip: {done.stderr.strip()[-300:]}")
