"""The baselines: the pools of the standard library, whose executors are children of the submitter."""

from __future__ import annotations

import concurrent.futures
import multiprocessing.pool
from typing import ClassVar

from ipclab import tasks
from ipclab.backends.base import Guarantees, Producer
from ipclab.backends.tasks.base import Launch, TaskQueue


class _LocalQueue(TaskQueue):
    in_process: ClassVar[bool] = True

    @property
    def guarantees(self) -> Guarantees:
        """Return that a task lives in the memory of the process that submitted it."""
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset(("consumer crash", "producer crash")),
            order="none",
            durability="none",
            confirm="buffered",
            reach="process tree",
        )

    def setup(self) -> None:
        """Make nothing: the submitter makes the pool."""

    def teardown(self) -> None:
        """Delete nothing: the pool ends with its submitter."""

    def worker(self, index: int) -> Launch:
        """Raise TypeError: there is no worker to start."""
        raise TypeError(f"{self.name} has no worker of its own")


class PoolQueue(_LocalQueue):
    """``multiprocessing.Pool`` with one process."""

    name = "pool"
    summary = "multiprocessing.Pool(1).apply_async()"

    def submitter(self, index: int) -> Producer:
        """Make the pool in the calling process."""
        return _PoolSubmitter(self.site.context.Pool(1))


class _PoolSubmitter(Producer):
    def __init__(self, pool: multiprocessing.pool.Pool) -> None:
        self._pool = pool

    def send(self, body: bytes) -> None:
        self._pool.apply_async(tasks.effect, (body.decode(),))

    def close(self) -> None:
        self._pool.terminate()


class ProcessPoolQueue(_LocalQueue):
    """``concurrent.futures.ProcessPoolExecutor`` with one process."""

    name = "process-pool"
    summary = "concurrent.futures.ProcessPoolExecutor(1).submit()"

    def submitter(self, index: int) -> Producer:
        """Make the executor in the calling process."""
        return _ExecutorSubmitter(concurrent.futures.ProcessPoolExecutor(1, mp_context=self.site.context))


class _ExecutorSubmitter(Producer):
    def __init__(self, executor: concurrent.futures.ProcessPoolExecutor) -> None:
        self._executor = executor

    def send(self, body: bytes) -> None:
        self._executor.submit(tasks.effect, body.decode())

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
