"""The two loops that count messages by hand, and what they are asked to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ipclab.host.start_methods import Context

STOP = b"stop"
BLOCK = 50
"""Messages between two looks at the clock and at the backlog."""

Send = Callable[[bytes], object]
SendAll = Callable[[list[bytes]], object]
Receive = Callable[[], bytes]
ReceiveSome = Callable[[], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Count:
    """What one side did in the measured window: messages, seconds of the clock and of its own CPU."""

    messages: int
    wall_s: float
    cpu_s: float


@dataclass(slots=True)
class Load:
    """What is asked of the two loops, and what they share (made by the parent, travels to both)."""

    size_bytes: int
    warmup_s: float
    duration_s: float
    backlog: int | None
    """The most messages under way; None where the transport itself holds the producer back."""
    name: str
    url: str | None
    window: int = 1
    """How many messages are sent before their confirms are waited for, and taken at once at most."""
    barrier: Any = None
    seen: Any = None
    shared: dict[str, Any] = field(default_factory=dict)
    """What the set-up of the backend made."""


Setup = Callable[[Load, Context], None]
Side = Callable[[Load], Count]
Teardown = Callable[[Load], None]
Loops = tuple[Setup, Side, Side, Teardown]
"""What a backend brings: set-up, producer, consumer, clean-up."""


def nothing(*_: object) -> None:
    """Do nothing, for a backend that has nothing to set up or to tear down."""


def produce(send: Send, load: Load) -> Count:
    """Send for the warm-up, then a stop message, then for the window, then a stop message."""
    body, seen, backlog, sent = os.urandom(load.size_bytes), load.seen, load.backlog, 0
    load.barrier.wait()
    for seconds in (load.warmup_s, load.duration_s):
        before, cpu, began = sent, time.process_time(), time.perf_counter()
        end = began + seconds
        while time.perf_counter() < end:
            for _ in range(BLOCK):
                send(body)
            sent += BLOCK
            if backlog and sent - seen.value > backlog:
                while sent - seen.value > backlog * 3 // 4:
                    time.sleep(0.0005)
        count = Count(sent - before, time.perf_counter() - began, time.process_time() - cpu)
        send(STOP)
    return count


def produce_windows(send_all: SendAll, load: Load) -> Count:
    """Run `produce()` with a window of messages at a time."""
    bodies, seen, backlog = [os.urandom(load.size_bytes)] * load.window, load.seen, load.backlog
    sent, windows = 0, max(1, BLOCK // load.window)
    load.barrier.wait()
    for seconds in (load.warmup_s, load.duration_s):
        before, cpu, began = sent, time.process_time(), time.perf_counter()
        end = began + seconds
        while time.perf_counter() < end:
            for _ in range(windows):
                send_all(bodies)
            sent += windows * load.window
            if backlog and sent - seen.value > backlog:
                while sent - seen.value > backlog * 3 // 4:
                    time.sleep(0.0005)
        count = Count(sent - before, time.perf_counter() - began, time.process_time() - cpu)
        send_all([STOP])
    return count


def consume(receive: Receive, load: Load) -> Count:
    """Count what comes before the first stop message, and then what comes before the second, timed."""
    seen, count = load.seen, 0
    load.barrier.wait()
    for _ in range(2):
        before, cpu, began = count, time.process_time(), time.perf_counter()
        while receive() != STOP:
            count += 1
            if not count % BLOCK:
                seen.value = count
    return Count(count - before, time.perf_counter() - began, time.process_time() - cpu)


def consume_unbounded(receive: Receive, load: Load) -> Count:
    """Run `consume()` where the transport bounds the backlog and nobody needs the progress."""
    load.barrier.wait()
    for _ in range(2):
        count, cpu, began = 0, time.process_time(), time.perf_counter()
        while receive() != STOP:
            count += 1
    return Count(count, time.perf_counter() - began, time.process_time() - cpu)


def consume_batches(receive: ReceiveSome, load: Load) -> Count:
    """Run `consume()` for several at a time, any of which may be a stop message."""
    seen, count = load.seen, 0
    marks: list[tuple[int, float, float]] = []
    load.barrier.wait()
    while len(marks) < 2:
        for body in receive():
            if body == STOP:
                marks.append((count, time.perf_counter(), time.process_time()))
            else:
                count += 1
        seen.value = count
    (before, began, cpu), (after, ended, cpu_after) = marks
    return Count(after - before, ended - began, cpu_after - cpu)
