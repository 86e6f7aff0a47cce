"""Names what a thread waits in, and the role that a library's own thread or process has. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipclab.host import stacks
from ipclab.host.stacks import Frame
from ipclab.stuck.facts import Process, Thread
from ipclab.trial import primitive

_STANDARD = re.compile(r"(^<)|/lib(64)?/python3\.\d+t?/(?!(site|dist)-packages/)")
_CLIENTS = re.compile(r"/(site|dist)-packages/(redis|pika|pymemcache)/")
_ROLES = {
    ("multiprocessing/pool.py", "worker"): "worker of a Pool",
    ("multiprocessing/pool.py", "_handle_tasks"): "thread of a Pool that sends tasks",
    ("multiprocessing/pool.py", "_handle_results"): "thread of a Pool that receives results",
    ("multiprocessing/pool.py", "_handle_workers"): "thread of a Pool that replaces workers",
    ("concurrent/futures/process.py", "_process_worker"): "worker of a ProcessPoolExecutor",
    ("concurrent/futures/process.py", "run"): "manager thread of a ProcessPoolExecutor",
    ("concurrent/futures/thread.py", "_worker"): "worker of a ThreadPoolExecutor",
    ("multiprocessing/queues.py", "_feed"): "feeder thread of a Queue",
    ("multiprocessing/managers.py", "serve_client"): "Manager's thread for one client",
    ("multiprocessing/managers.py", "accepter"): "Manager's thread for new clients",
    ("multiprocessing/managers.py", "serve_forever"): "Manager",
    ("multiprocessing/resource_tracker.py", "main"): "resource tracker",
    ("multiprocessing/forkserver.py", "main"): "fork server",
}
"""By file and function, the library's own threads and processes."""
HELPERS = frozenset(
    (
        "resource tracker",
        "fork server",
        "Manager",
        "Manager's thread for new clients",
        "thread of a Pool that replaces workers",
    )
)
"""Roles that wake no other thread by themselves: they wait for requests, or only start processes."""
_LAB_SUPERVISES = (("ipclab/host/supervisor.py", "listen"), ("ipclab/host/supervisor.py", "wait_for_end"))
_LAB_THREAD = ("ipclab/host/child.py", "leave_with")
_STARTS = (
    ("multiprocessing/process.py", "_bootstrap"),
    ("multiprocessing/process.py", "run"),
)


def is_own(file: str) -> bool:
    """Return whether a file is the user's code: no file of Python's own or of a client library."""
    return not _STANDARD.search(file) and not _CLIENTS.search(file)


def own_frames(thread: Thread) -> Sequence[Frame]:
    """Return the frames of the process that the thread is in, without those that its parent had at the
    fork."""
    for index, frame in enumerate(thread.frames):
        if is_at(frame, _STARTS[0]):
            return thread.frames[: index + 1]
    return thread.frames


def role(thread: Thread) -> str:
    """Return the role of a thread that a library started; empty for one of the user's."""
    for frame in reversed(own_frames(thread)):
        for place, words in _ROLES.items():
            if is_at(frame, place):
                return words
        if is_own(frame.file):
            break
    return ""


def primitive_of(thread: Thread) -> str:
    """Return what a thread waits in, such as ``Queue.get (read lock)``; empty without a Python stack."""
    frames = own_frames(thread)
    found = role(thread)
    if found and "feeder" not in found:
        places = [place for place, words in _ROLES.items() if words == found]
        cut = next(i for i, frame in enumerate(frames) if any(is_at(frame, place) for place in places))
        frames = frames[:cut] or frames
    elif any(is_at(frame, _STARTS[1]) for frame in frames):
        cut = next(i for i, frame in enumerate(frames) if is_at(frame, _STARTS[1]))
        frames = frames[:cut] or frames
    return primitive.name_thread(frames, is_own) if frames else ""


def process_primitive(process: Process) -> str:
    """Return what a process waits in, by the same rules as the lab names a hang from inside."""
    threads = [list(own_frames(t)) for t in process.threads if t.frames and not is_lab_thread(t)]
    return primitive.name_threads(threads, is_own)


def calls(thread: Thread) -> frozenset[str]:
    """Return the functions that the thread is in, with their classes, such as ``Queue.get``."""
    return frozenset(_class_name(frame) for frame in own_frames(thread))


def count(thread: Thread, name: str) -> int:
    """Return how often the thread is in this function."""
    return sum(_class_name(frame) == name for frame in own_frames(thread))


def place(thread: Thread) -> str:
    """Return the innermost line of the user's own code, such as ``work.py:12 in run``; empty without one."""
    for frame in own_frames(thread):
        if is_own(frame.file):
            return f"{stacks.short(frame.file)}:{frame.line} in {frame.function.rpartition('.')[2]}"
    return ""


def in_message(thread: Thread) -> bool:
    """Return whether the thread reads the rest of a message of which it has received the beginning."""
    frames = own_frames(thread)
    for frame in frames[:3]:
        if frame.function.endswith("_recv_bytes") and "multiprocessing/connection.py" in frame.file:
            return "_recv(4)" not in frame.source and "_recv(8)" not in frame.source and bool(frame.source)
    return False


def is_lab_thread(thread: Thread) -> bool:
    """Return whether this is the lab's own thread in a worker, which only waits for the lab's end."""
    return any(is_at(frame, _LAB_THREAD) for frame in thread.frames)


def supervises(thread: Thread) -> bool:
    """Return whether the thread is the lab's, and waits for the processes that it has started."""
    return any(is_at(frame, place) for frame in own_frames(thread) for place in _LAB_SUPERVISES)


def is_at(frame: Frame, place: tuple[str, str]) -> bool:
    """Return whether a frame is of this function of this file."""
    return frame.function.rpartition(".")[2] == place[1] and frame.file.endswith(place[0])


def _class_name(frame: Frame) -> str:
    return re.sub(r"^_(\w+)Base\b", r"\1", frame.name)
