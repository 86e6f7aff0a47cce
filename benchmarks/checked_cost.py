"""What the checks of a foreign backend's answers cost: nanoseconds a call, by interleaved rounds.

``python benchmarks/checked_cost.py`` calls each kind of answer with and without its check, in turns, and
prints the median of the rounds' differences and their quartiles. Nothing is sent anywhere.
"""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any

from ipclab.backends import checked
from ipclab.backends.base import Consumer, CounterClient
from ipclab.backends.shared import MutexClient

ROUNDS = 1001
CALLS = 1000


class _Consumer(Consumer):
    acknowledges = False

    def receive(self) -> Sequence[bytes]:
        return _BODIES

    def receiver(self) -> Callable[[], bytes]:
        return _one


class _Counter(CounterClient):
    def increment(self) -> None:
        return None

    def read(self) -> int:
        return 1


class _Mutex(MutexClient):
    def acquire(self) -> int | None:
        return 1

    def release(self) -> None:
        return None


_BODIES = [b"body"]


def _one() -> bytes:
    return _BODIES[0]


def differences_ns(plain: Callable[[], Any], held: Callable[[], Any]) -> list[float]:
    """Return by how many nanoseconds a call ``held`` is slower than ``plain``, a round each."""
    found = []
    for _ in range(ROUNDS):
        # The CPU time of this thread: what else the machine does is not counted.
        without_s, with_s = (timeit.timeit(f, timer=time.thread_time, number=CALLS) for f in (plain, held))
        found.append((with_s - without_s) / CALLS * 1e9)
    return found


def main() -> None:
    """Measure each kind of answer and print a line for it."""
    consumer, counter, mutex = _Consumer(), _Counter(), _Mutex()
    held = checked._Consumer("foreign", consumer, 1)
    receive = held.receiver()
    assert receive is not None
    cases: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("receive()", consumer.receive, held.receive),
        ("receiver()", _one, receive),
        ("CounterClient.read()", counter.read, checked._CounterClient("foreign", counter).read),
        ("acquire()", mutex.acquire, checked._MutexClient("foreign", mutex, fenced=True).acquire),
    ]
    for name, plain, with_check in cases:
        low, middle, high = statistics.quantiles(differences_ns(plain, with_check), n=4)
        print(f"{name:22} {middle:6.0f} ns a call (quartiles {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
