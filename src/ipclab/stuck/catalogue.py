"""The known hazards that ``ipclab hang`` names: where they are described, what shows them, the cure. Data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hazard:
    """A known way to hang.

    ``page`` is its place in the documentation, ``command`` shows it with the lab, ``name`` is the scenario,
    the cell or the claim there.
    """

    name: str
    says: str
    page: str
    command: str
    cure: str


_QUEUE = "ipclab run client --backend queue"
_VALUE = "ipclab run client --backend value"
_MANAGER = "ipclab run client --backend manager-dict"

_ALL = (
    Hazard(
        "queue-reader-killed",
        "a process was killed while it waited in get(), and the queue's read lock stays taken",
        "queues",
        "ipclab run crash --backend queue --fault kill --target consumer",
        "end consumers by a message (such as None), not by kill(); or use a queue of a server",
    ),
    Hazard(
        "queue-writer-killed",
        "a producer was killed in the middle of a message: the write lock stays taken, or the rest is "
        "missing",
        "queues",
        "ipclab run crash --backend queue --fault kill --target producer",
        "let producers end by themselves; start all processes again after a kill",
    ),
    Hazard(
        "join-undrained",
        "join() waits for a process whose items nobody receives, and that process waits to send them",
        "queues",
        _QUEUE,
        "receive all items first, then join()",
    ),
    Hazard(
        "task-not-done",
        "join() of a JoinableQueue waits for a task_done() of a consumer that is gone",
        "queues",
        "ipclab run client --backend joinable-queue",
        "call task_done() in a finally block; check that the consumers live",
    ),
    Hazard(
        "joinable-unpicklable",
        "join() of a JoinableQueue counts an item that could not be pickled and was dropped",
        "queues",
        "ipclab run client --backend joinable-queue",
        "look for a traceback on stderr; pickle items before put(), so that put() raises",
    ),
    Hazard(
        "get-timeout",
        "the sender stands still in the middle of an item; the time-out of get() limits only its beginning",
        "queues",
        _QUEUE,
        "continue the sender (kill -CONT PID); receive in a thread of its own and wait for that with a "
        "time-out",
    ),
    Hazard(
        "handler-puts",
        "a signal handler calls put() while put() runs in the same thread, and waits for a lock that it has",
        "queues",
        _QUEUE,
        "let the handler only set a flag",
    ),
    Hazard(
        "reader-of-one-end",
        "several processes read at one end of a pipe, and have taken parts of each other's messages",
        "pipes",
        "ipclab run client --backend pipe",
        "one reader for each end, or a lock around recv()",
    ),
    Hazard(
        "eof-never",
        "no other process has the writing end any more, but the reader has it open itself, so it gets "
        "no EOFError",
        "pipes",
        "ipclab claims 13",
        "close the unused end in each process, before the first recv()",
    ),
    Hazard(
        "lock-owner-killed",
        "the process that had acquired the lock is gone, and released nothing",
        "locks-and-events",
        _VALUE,
        "use a lock that the system releases: fcntl.lockf() on a file",
    ),
    Hazard(
        "flock-owner-killed",
        "the lock of the file is held through an open file that a child has inherited",
        "locks-and-events",
        _VALUE,
        "use fcntl.lockf(), or close the file in the child",
    ),
    Hazard(
        "semaphore-holder-killed",
        "the semaphore has no permit left, and no living process will release one",
        "locks-and-events",
        "ipclab claims 5",
        "do not kill a holder; or limit the number of processes by a pool",
    ),
    Hazard(
        "event-waiter-killed",
        "set() waits for a process that was killed while it waited for the event",
        "locks-and-events",
        _VALUE,
        "let waiting processes end by themselves; or use a pipe instead of an Event",
    ),
    Hazard(
        "forked-lock",
        "the process was forked while a thread of its parent held the lock; that thread is not in this "
        "process",
        "locks-and-events",
        _VALUE,
        "start processes by spawn or forkserver: multiprocessing.set_start_method('spawn')",
    ),
    Hazard(
        "pool-worker-killed",
        "a worker of the Pool was killed with a task, and the Pool does not know",
        "pools",
        _QUEUE,
        "use a ProcessPoolExecutor, which raises BrokenProcessPool; or get(timeout=…)",
    ),
    Hazard(
        "pool-task-exits",
        "a task ended its worker by sys.exit(), and the Pool does not know",
        "pools",
        _QUEUE,
        "catch SystemExit in the task",
    ),
    Hazard(
        "worker_killed",
        "an idle worker of the Pool was killed while it waited for a task, and took the lock of the "
        "tasks with it",
        "pools",
        "ipclab claims worker_killed",
        "end the Pool by terminate(), and make another one; or use a ProcessPoolExecutor",
    ),
    Hazard(
        "pool-callback-raises",
        "the thread that receives results has ended, because a callback raised",
        "pools",
        _QUEUE,
        "catch every error in the callback; look for a traceback on stderr",
    ),
    Hazard(
        "pool-error-unpicklable",
        "the thread that receives results has ended, because a task raised an error that cannot be unpickled",
        "pools",
        _QUEUE,
        "raise errors whose arguments are those of their constructor; look for a traceback on stderr",
    ),
    Hazard(
        "executor-worker-killed-sending",
        "a worker of the ProcessPoolExecutor was killed while it sent a result",
        "pools",
        _QUEUE,
        "do not kill workers; wait for results with a time-out: result(timeout=…)",
    ),
    Hazard(
        "executor-tasks-per-child",
        "the ProcessPoolExecutor with max_tasks_per_child has no worker left, and starts none",
        "pools",
        _QUEUE,
        "use Python 3.14, or leave out max_tasks_per_child",
    ),
    Hazard(
        "executor-futures-cancelled",
        "wait() is for tasks that shutdown(cancel_futures=True) has cancelled",
        "pools",
        _QUEUE,
        "ask future.cancelled() before wait()",
    ),
    Hazard(
        "manager-lock-owner-killed",
        "the process that had acquired the Manager's lock is gone",
        "the-manager",
        _MANAGER,
        "use a lock that the system releases: fcntl.lockf() on a file",
    ),
    Hazard(
        "manager-lock-waiter-killed",
        "the Manager gave the lock to a process that was killed while it waited",
        "the-manager",
        _MANAGER,
        "use a lock that the system releases: fcntl.lockf() on a file",
    ),
    Hazard(
        "silent-server",
        "the client has no time-out, and the server does not answer",
        "memcached",
        "ipclab run client --backend memcached",
        "give the client time-outs: Client(address, connect_timeout=…, timeout=…)",
    ),
)
HAZARDS = {hazard.name: hazard for hazard in _ALL}
"""The hazards by name. The names are those of the scenarios, where there is one."""
