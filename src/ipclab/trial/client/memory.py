"""Faults of multiprocessing.shared_memory: another program deletes it, and a list loses bytes."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import ShareableList, SharedMemory
from pathlib import Path

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.scenario import Seen, pair

VALUE = 7
BYTES = b"ab\0\0"
END = b"\1"
"""Appended to bytes that may end in NUL, and removed again."""

_STRANGER = """
import sys
from multiprocessing import resource_tracker, shared_memory
name, right = sys.argv[1], sys.argv[2] == "right"
if right and sys.version_info >= (3, 13):
    memory = shared_memory.SharedMemory(name, track=False)
else:
    memory = shared_memory.SharedMemory(name)
    if right:
        resource_tracker.unregister(memory._name, "shared_memory")
print(memory.buf[0])
memory.close()
"""


def _create(parent: Connection, log: Path) -> None:
    """Write into shared memory, and delete it when the lab says so."""
    memory = SharedMemory(create=True, size=1)
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("write", VALUE)
        assert memory.buf is not None
        memory.buf[0] = VALUE
        history.ok()
    say(parent, memory.name)
    parent.recv()
    memory.close()
    try:
        memory.unlink()
    except FileNotFoundError:
        # Otherwise this process's tracker warns about it.
        resource_tracker.unregister(memory._name, "shared_memory")  # type: ignore[attr-defined]


def _stranger(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _create, bench.log(PROGRAM), forks=True)
    name = program.heard()
    # Its tracker writes to the same stderr, so that this call waits for the tracker as well.
    ended = subprocess.run(
        [sys.executable, "-I", "-c", _STRANGER, name, "right" if right else "as it comes"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    with bench.server() as history:
        history.invoke("read")
        value = _read(Path("/dev/shm") / name)
        history.ok(value)
    program.tell("delete it")
    program.result()
    found = "was gone" if value is None else f"held {value}"
    finding = (
        f"another program read {ended.stdout.strip()} from shared memory and ended; then the memory {found}"
    )
    return Seen(finding=finding, counts={"found": int(value is not None)})


def _read(path: Path) -> int | None:
    """Return what the memory holds, read without attaching to it; None where it is gone."""
    try:
        return path.read_bytes()[0]
    except FileNotFoundError:
        return None


def _put_bytes(parent: Connection, log: Path, right: bool) -> str:
    """Put bytes that end in NUL into a ShareableList; return them as read from it."""
    with ProcessLog(log, OTHER) as history:
        history.invoke("write", BYTES.hex())
        shared = ShareableList([BYTES + END if right else BYTES])
        history.ok()
        history.invoke("read")
        found = shared[0]
        assert isinstance(found, bytes)
        found = found.removesuffix(END) if right else found
        history.ok(found.hex())
    shared.shm.close()
    shared.shm.unlink()
    return str(found)


def _strips(bench: Bench, *, right: bool) -> Seen:
    found = bench.start("other", _put_bytes, bench.log(OTHER), right, forks=True).result()
    return Seen(finding=f"a ShareableList was given {BYTES!r} and returned {found}")


_pair = partial(pair, library="", backend="value", model="register")

SCENARIOS = (
    *_pair(
        "memory-unlinked-by-a-stranger",
        _stranger,
        asked="shared memory, after another program has attached to it and ended",
        says="a warning of the other program's tracker, on its stderr",
        has="no memory of that name: the tracker has deleted it",
        default="SharedMemory(name)",
        right="SharedMemory(name, track=False) from Python 3.13 on; before, resource_tracker.unregister()",
    ),
    *_pair(
        "shareable-list-strips",
        _strips,
        asked="bytes that end in NUL, from a ShareableList",
        says="the bytes without their last ones",
        has="all of them, and no length",
        default="ShareableList([item])",
        right="ShareableList([item + b'\\x01'])",
    ),
)
