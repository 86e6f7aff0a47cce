"""The facts about processes that may hang, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ipclab.host.stacks import Frame

Call = Literal[
    "lock", "read", "write", "poll", "accept", "child", "flock", "sleep", "signal", "other", "none"
]
"""What a thread asks the system for. ``none``: it has a processor or waits for one; ``other``: anything else
or unknown."""
Kind = Literal["pipe", "socket", "semaphore", "lock", "process", "file", "outside"]
"""What a thread can wait for. ``lock`` is within one process; ``outside`` is a terminal, a listening socket
or anything else through which a process that is not looked at can wake the thread."""


Wants = Literal["read", "write", "release", "end"]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a thread waits for.

    ``key`` identifies it on this machine: an inode, an address, a pid. ``wants`` is what has to happen:
    ``read`` needs one at the writing end, ``write`` one at the reading end.
    """

    kind: Kind
    key: str
    wants: Wants


@dataclass(frozen=True, slots=True)
class Wait:
    """The system call that a thread is in. ``timed`` says that the call returns by itself."""

    call: Call
    timed: bool = False
    on: tuple[Thing, ...] = ()


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread with a Python stack, innermost frame first; without frames it is not one of Python's.

    ``moved`` says whether it ran between the two looks.
    """

    tid: int
    name: str
    is_main: bool
    frames: tuple[Frame, ...]
    moved: bool
    wait: Wait


@dataclass(frozen=True, slots=True)
class Process:
    """One process. ``unread`` is the reason why its stacks could not be read; empty where they were."""

    pid: int
    parent: int
    command: str
    stopped: bool
    threads: tuple[Thread, ...]
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """The processes that have an end of a pipe or socket open. ``known`` is False where one could not be
    found, as with a socket to another machine."""

    readers: tuple[int, ...] = ()
    writers: tuple[int, ...] = ()
    known: bool = True


@dataclass(frozen=True, slots=True)
class Semaphore:
    """A semaphore of multiprocessing.

    ``at_most`` is its largest value: 1 for a Lock or an RLock. ``holders`` are the living processes that have
    acquired it more often than released it. ``known`` is False where a process could not be examined.
    """

    value: int
    at_most: int
    users: tuple[int, ...]
    holders: tuple[int, ...]
    known: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """All that was seen.

    ``asked`` are the processes that the user named, ``apart`` those that wake no other one, as the lab
    when it examines its own trial.
    """

    asked: tuple[int, ...]
    processes: Mapping[int, Process]
    ends: Mapping[str, Ends] = field(default_factory=dict)
    semaphores: Mapping[str, Semaphore] = field(default_factory=dict)
    file_locks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By inode, the processes that have an open file with a lock."""
    apart: frozenset[int] = frozenset()
