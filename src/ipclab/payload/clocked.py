"""The CPU time that a worker spends serialising: measured where it happens, in samples.

Reading a thread's CPU clock is a system call, so one call in ``EVERY`` is measured where payloads are small.
Channels that carry objects pickle them by themselves, in ``multiprocessing``; ``watch_multiprocessing()``
puts a measuring pickler in place of the one that they use. It pickles with the same code.
"""

from __future__ import annotations

import multiprocessing.connection
import multiprocessing.queues
import time
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

EVERY = 7
"""Small, so that a short trial has samples; a prime, so that it keeps no step with a protocol."""
LARGE_BYTES = 64 * 1024
"""From this size on, every call is measured."""
A = TypeVar("A")
R = TypeVar("R")


class Account:
    """The CPU time of the calls of one function, in one thread."""

    __slots__ = ("calls", "cpu_ns", "every", "sampled")

    def __init__(self, every: int) -> None:
        self.every = every
        self.calls = self.sampled = self.cpu_ns = 0

    @property
    def total_ns(self) -> int:
        """Return the CPU time of all calls, as far as the samples tell."""
        return self.cpu_ns * self.calls // self.sampled if self.sampled else 0

    def clocked(self, call: Callable[[A], R]) -> Callable[[A], R]:
        """Return ``call`` with its time entered here. It must be called in one thread only."""
        every, clock = self.every, time.thread_time_ns
        # The first call is measured, so that the shortest trial has a sample.
        measured = 1 % every

        def run(argument: A) -> R:
            self.calls += 1
            if self.calls % every != measured:
                return call(argument)
            began_ns = clock()
            result = call(argument)
            self.cpu_ns += clock() - began_ns
            self.sampled += 1
            return result

        return run


class Serialised:
    """The accounts of one worker: what it encoded and decoded, and the lab's own check of it."""

    def __init__(self, size_bytes: int) -> None:
        self._every = 1 if size_bytes >= LARGE_BYTES else EVERY
        self._encoding: list[Account] = []
        self._decoding: list[Account] = []
        self._checking: list[Account] = []

    def encoding(self, call: Callable[[A], R]) -> Callable[[A], R]:
        """Return this function of an encoder, measured."""
        return self._entered(self._encoding, call)

    def decoding(self, call: Callable[[A], R]) -> Callable[[A], R]:
        """Return this function of a decoder, measured."""
        return self._entered(self._decoding, call)

    def checking(self, call: Callable[[A], R]) -> Callable[[A], R]:
        """Return this function that compares a payload with the one that was sent, measured."""
        return self._entered(self._checking, call)

    def _entered(self, accounts: list[Account], call: Callable[[A], R]) -> Callable[[A], R]:
        accounts.append(Account(self._every))
        return accounts[-1].clocked(call)

    def spent(self) -> dict[str, int]:
        """Return the CPU time so far in ns, by the fields of ``Done``."""
        return {
            "encode_cpu_ns": sum(account.total_ns for account in self._encoding),
            "decode_cpu_ns": sum(account.total_ns for account in self._decoding),
            "check_cpu_ns": sum(account.total_ns for account in self._checking),
        }

    def watch_multiprocessing(self) -> None:
        """Measure from now on what the queues and connections of ``multiprocessing`` pickle here."""
        dumps, loads = self.encoding(_dumps), self.decoding(_loads)

        class Measured(ForkingPickler):
            @classmethod
            def dumps(cls, obj: Any, protocol: int | None = None) -> Any:
                return dumps(obj) if protocol is None else ForkingPickler.dumps(obj, protocol)

            @staticmethod
            def loads(data: Any, /, **options: Any) -> Any:  # type: ignore[override]
                return ForkingPickler.loads(data, **options) if options else loads(data)

        for module in (multiprocessing.queues, multiprocessing.connection):
            module._ForkingPickler = Measured  # type: ignore[attr-defined]


def _dumps(message: Any) -> Any:
    return ForkingPickler.dumps(message)


def _loads(data: Any) -> Any:
    return ForkingPickler.loads(data)
