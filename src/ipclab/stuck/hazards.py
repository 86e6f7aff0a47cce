"""Which known hazards a hanging thread can be, from its stack, its process and why nothing wakes it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ipclab.stuck import names
from ipclab.stuck.facts import Process, Scene, Thread
from ipclab.stuck.waking import Standing

_RESULTS = frozenset(("ApplyResult.get", "ApplyResult.wait", "IMapIterator.next", "Pool.join"))
_FUTURES = frozenset(("Future.result", "Future.exception", "wait", "as_completed"))
_SENDS = "thread of a Pool that sends tasks"
_RECEIVES = "thread of a Pool that receives results"
_EXECUTOR = "manager thread of a ProcessPoolExecutor"
_POOL_WORKER = "worker of a Pool"
_EXECUTOR_WORKER = "worker of a ProcessPoolExecutor"
Rule = Callable[[Scene, Process, Standing], tuple[str, ...]]


def name(scene: Scene, found: Standing) -> tuple[str, ...]:
    """Return the names of the hazards that this can be, the likeliest first; none where none is known."""
    process = scene.processes[found.pid]
    if process.stopped:
        return ()
    for rule in _RULES:
        if hazards := rule(scene, process, found):
            return hazards
    return ()


def _pool(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    """Name why the result of a Pool does not come, from its threads and workers."""
    if not names.calls(found.thread) & _RESULTS:
        return ()
    roles = {names.role(thread) for thread in process.threads}
    if _SENDS in roles and _RECEIVES not in roles:
        return ("pool-callback-raises", "pool-error-unpicklable")
    workers = _children_of(scene, process, _POOL_WORKER)
    if any(_waits_for_dead_holder(scene, worker) for worker in workers):
        return ("worker_killed",)
    if workers and all(_is_idle(w) for w in workers):
        return ("pool-worker-killed", "pool-task-exits")
    return ()


def _executor(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    manager = next((t for t in process.threads if names.role(t) == _EXECUTOR), None)
    if found.thread is manager or (manager is not None and names.calls(found.thread) & _FUTURES):
        if names.in_message(manager):
            return ("executor-worker-killed-sending",)
        if not _children_of(scene, process, _EXECUTOR_WORKER):
            return ("executor-tasks-per-child",)
        return ()
    if manager is None and "wait" in names.calls(found.thread):
        in_futures = any("concurrent/futures/_base.py" in f.file for f in names.own_frames(found.thread))
        return ("executor-futures-cancelled",) if in_futures else ()
    return ()


def _queue(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    calls = names.calls(found.thread)
    if names.count(found.thread, "Queue.put") > 1 or names.count(found.thread, "JoinableQueue.put") > 1:
        return ("handler-puts",)
    if "JoinableQueue.join" in calls:
        return ("task-not-done", "joinable-unpicklable")
    if found.why == "no holder":
        if names.role(found.thread) == _POOL_WORKER:
            return ("worker_killed",)
        if "Queue.get" in calls or "SimpleQueue.get" in calls:
            return ("queue-reader-killed",)
        if "Queue._feed" in calls or "SimpleQueue.put" in calls:
            return ("queue-writer-killed",)
    if "BaseProcess.join" in calls and any(_cannot_send(scene, pid) for pid in found.by):
        return ("join-undrained",)
    if "Queue._feed" in calls and found.thread.wait.call == "write":
        return ("join-undrained",)
    return ()


def _message(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    """Name why the rest of a message does not come."""
    if not names.in_message(found.thread):
        return ()
    if found.why == "stopped":
        return ("get-timeout",)
    keys = {thing.key for thing in found.thread.wait.on}
    for other in scene.processes.values():
        for thread in other.threads:
            shared = any(thing.key in keys for thing in thread.wait.on)
            if thread.tid != found.thread.tid and shared and thread.wait.call == "read":
                return ("reader-of-one-end",)
    return ("queue-writer-killed",) if "Queue.get" in names.calls(found.thread) else ("reader-of-one-end",)


def _lock(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    calls, wait = names.calls(found.thread), found.thread.wait
    if wait.call == "flock":
        return ("flock-owner-killed",)
    if wait.call != "lock" or not wait.on:
        return ()
    if "Event.set" in calls or "Condition.notify" in calls or "Condition.notify_all" in calls:
        return ("event-waiter-killed",) if wait.on[0].kind == "semaphore" else ()
    if found.why == "no holder":
        return ("lock-owner-killed",)
    semaphore = scene.semaphores.get(wait.on[0].key)
    if (
        semaphore is not None
        and semaphore.at_most > 1
        and "Condition.wait" not in calls
        and not semaphore.holders
    ):
        return ("semaphore-holder-killed",)
    if found.why == "nobody" and wait.on[0].kind == "lock" and _is_forked(found.thread):
        return ("forked-lock",)
    return ()


def _pipe(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    reads = any(call in names.calls(found.thread) for call in ("Connection.recv", "Connection.recv_bytes"))
    if reads and found.by == (process.pid,) and any(thing.kind == "pipe" for thing in found.thread.wait.on):
        return ("eof-never",)
    return ()


def _manager(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    if "BaseProxy._callmethod" not in names.calls(found.thread):
        return ()
    if any(frame.function.rpartition(".")[2] in ("acquire", "__enter__") for frame in found.thread.frames):
        return ("manager-lock-owner-killed", "manager-lock-waiter-killed")
    return ()


def _server(scene: Scene, process: Process, found: Standing) -> tuple[str, ...]:
    in_client = any("/pymemcache/" in frame.file for frame in names.own_frames(found.thread))
    return ("silent-server",) if in_client and found.why in ("no answer", "stopped") else ()


_RULES: tuple[Rule, ...] = (_pool, _executor, _message, _queue, _lock, _pipe, _manager, _server)


def _children_of(scene: Scene, process: Process, role: str) -> list[Thread]:
    """Return the main threads of the process's workers of this role."""
    mains = (t for p in scene.processes.values() if p.parent == process.pid for t in p.threads if t.is_main)
    return [thread for thread in mains if names.role(thread) == role]


def _is_idle(worker: Thread) -> bool:
    """Return whether a worker waits for a task: it has only frames of the library."""
    return not any(names.is_own(frame.file) for frame in names.own_frames(worker))


def _waits_for_dead_holder(scene: Scene, thread: Thread) -> bool:
    found = [scene.semaphores.get(thing.key) for thing in thread.wait.on]
    return any(s is not None and s.at_most == 1 and s.known and not s.holders for s in found)


def _cannot_send(scene: Scene, pid: int) -> bool:
    """Return whether the feeder thread of a process waits until somebody receives."""
    process = scene.processes.get(pid)
    threads = process.threads if process is not None else ()
    return any("Queue._feed" in names.calls(t) and t.wait.call == "write" for t in threads)


def _is_forked(thread: Thread) -> bool:
    """Return whether the process was forked by multiprocessing: it has the frames of its parent."""
    return any("multiprocessing/popen_fork" in f.file or "forkserver" in f.file for f in thread.frames)
