"""What ``ipclab hang`` reports, as data; derived from the facts. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from ipclab.exit_codes import ExitCode
from ipclab.stuck import hazards, names, waking
from ipclab.stuck.catalogue import HAZARDS
from ipclab.stuck.facts import Call, Kind, Process, Scene, Thread, Wants
from ipclab.stuck.waking import Standing, Why

SCHEMA = 1
Verdict = Literal["nothing is stuck", "stuck", "stuck, cause unknown"]
_SURE: tuple[Why, ...] = ("no holder", "rest missing", "stopped", "no answer")


class Ended(msgspec.Struct, frozen=True):
    """A pipe, socket, lock or process that a thread waits for, and who is at its other end."""

    kind: Kind
    key: str
    wants: Wants
    pids: list[int]
    itself: bool


class Looked(msgspec.Struct, frozen=True):
    """One thread: what it waits in, and whether it is stuck. ``stack`` has the innermost frame first."""

    tid: int
    name: str
    role: str
    primitive: str
    place: str
    call: Call
    timed: bool
    moved: bool
    stuck: bool
    ends: list[Ended]
    stack: list[str]


class Examined(msgspec.Struct, frozen=True):
    """One process that was looked at."""

    pid: int
    parent: int
    command: str
    asked: bool
    stopped: bool
    unread: str
    primitive: str
    threads: list[Looked]


class Known(msgspec.Struct, frozen=True):
    """A hazard that a finding can be."""

    name: str
    says: str
    page: str
    command: str
    cure: str


class Finding(msgspec.Struct, frozen=True):
    """A thread that hangs. ``causes`` is False where it only waits for others that hang."""

    pid: int
    tid: int
    primitive: str
    place: str
    why: Why
    by: list[int]
    causes: bool
    hazards: list[Known]


class Report(msgspec.Struct, frozen=True):
    """The whole answer; ``ipclab_hang`` is the version of its schema."""

    ipclab_hang: int
    verdict: Verdict
    looked_at: list[int]
    findings: list[Finding]
    processes: list[Examined]

    @property
    def exit_code(self) -> ExitCode:
        """Return 0 where nothing is stuck, 1 where all that is stuck is named, else 3."""
        if self.verdict == "nothing is stuck":
            return ExitCode.SUCCESS
        return ExitCode.BROKEN if self.verdict == "stuck" else ExitCode.UNKNOWN


def report(scene: Scene) -> Report:
    """Return what the facts show."""
    stands = waking.standing(scene)
    shown = [(one, _finding(scene, one)) for one in stands if _matters(scene, one)]
    # A library's thread that shows the same hazard as the program's own call adds nothing.
    told = {one.hazards[0].name for by, one in shown if one.hazards and not names.role(by.thread)}
    kept = [one for by, one in shown if not (names.role(by.thread) and {h.name for h in one.hazards} & told)]
    found = sorted(kept, key=lambda one: (not one.causes, one.pid))
    stuck = {one.thread.tid for one in stands}
    named = any(one.hazards or one.why in _SURE for one in found)
    verdict: Verdict = "nothing is stuck" if not found else "stuck" if named else "stuck, cause unknown"
    examined = [_examined(scene, process, stuck) for process in scene.processes.values()]
    return Report(SCHEMA, verdict, sorted(scene.processes), found, examined)


def _matters(scene: Scene, found: Standing) -> bool:
    """Return whether a thread that stands is shown: the main one and the user's; a library's own only where
    it is the cause, since such threads wait for work."""
    thread = found.thread
    if scene.processes[found.pid].stopped:
        return thread.is_main
    if not names.role(thread):
        return True
    if names.role(thread) in names.HELPERS:
        return False
    return thread.is_main or found.why in _SURE or thread.wait.call == "write"


def _finding(scene: Scene, found: Standing) -> Finding:
    known = [HAZARDS[name] for name in hazards.name(scene, found)]
    return Finding(
        found.pid,
        found.thread.tid,
        names.primitive_of(found.thread),
        names.place(found.thread),
        found.why,
        list(found.by),
        bool(known) or found.why in _SURE,
        [Known(one.name, one.says, f"docs/hazards.md#{one.page}", one.command, one.cure) for one in known],
    )


def _examined(scene: Scene, process: Process, stuck: set[int]) -> Examined:
    return Examined(
        process.pid,
        process.parent,
        process.command,
        process.pid in scene.asked,
        process.stopped,
        process.unread,
        names.process_primitive(process) if any(t.frames for t in process.threads) else "",
        [_looked(scene, process, thread, stuck) for thread in process.threads if thread.frames],
    )


def _looked(scene: Scene, process: Process, thread: Thread, stuck: set[int]) -> Looked:
    return Looked(
        thread.tid,
        thread.name,
        names.role(thread),
        names.primitive_of(thread),
        names.place(thread),
        thread.wait.call,
        thread.wait.timed,
        thread.moved,
        thread.tid in stuck,
        [_ended(scene, process, thread, index) for index in range(len(thread.wait.on))],
        [f"{frame.name} ({frame.file}:{frame.line})" for frame in names.own_frames(thread)],
    )


def _ended(scene: Scene, process: Process, thread: Thread, index: int) -> Ended:
    thing = thread.wait.on[index]
    match thing.kind:
        case "pipe" | "socket":
            ends = scene.ends.get(thing.key)
            there = () if ends is None else ends.writers if thing.wants == "read" else ends.readers
        case "semaphore":
            semaphore = scene.semaphores.get(thing.key)
            sole = semaphore is not None and semaphore.at_most == 1 and semaphore.known
            there = () if semaphore is None else semaphore.holders if sole else semaphore.users
        case "process":
            there = (int(thing.key),) if thing.key not in ("", "-1") else ()
        case "file":
            there = scene.file_locks.get(thing.key, ())
        case _:
            there = ()
    return Ended(thing.kind, thing.key, thing.wants, list(there), process.pid in there)
