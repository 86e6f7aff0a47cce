"""What a worker does. It is imported in second interpreters too, so it imports nothing that is not Python's.

One work is the same code in a thread, a process and an interpreter.
"""

from __future__ import annotations

import time
from typing import Any

LOOPS = 20_000
WAIT_S = 0.002


def serve(jobs: Any, done: Any, work: str) -> None:
    """Take items until there is None, do this work with each, and put the result."""
    take, give = jobs.get, done.put
    while (item := take()) is not None:
        give(_do(work, item))


def _do(work: str, item: Any) -> Any:
    """Return the result of the work. A list is the question whether the sender sees a change of it."""
    if isinstance(item, list):
        item.append("changed")
        return len(item)
    if work == "cpu":
        return compute(item)
    if work == "waiting":
        time.sleep(WAIT_S)
        return item
    return item if work == "bytes" else float(item[0])


def compute(start: int) -> int:
    """Return a number that takes some milliseconds of pure Python to compute."""
    value = start
    for number in range(LOOPS):
        value = (value * 31 + number) & 0xFFFFFFFF
    return value


def same(value: int) -> int:
    """Return the value: a call between the read and the write of a number."""
    return value
