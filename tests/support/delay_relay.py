"""A relay between two TAP devices that delays each frame: the network that ``netem`` would make.

Run as a program: ``delay_relay.py INSIDE OUTSIDE IN_DELAY_NS OUT_DELAY_NS JITTER_NS``. It makes both devices,
prints a line, and relays until its standard input ends. Frames that enter at INSIDE leave at OUTSIDE after
OUT_DELAY_NS, the others after IN_DELAY_NS. Each delay grows by up to JITTER_NS; frames keep their order.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_BYTES = 65_536
MOST_WAITING = 2_000


def tap(name: str) -> int:
    """Return the descriptor of a new TAP device; it is gone when the descriptor is closed."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


class Lane:
    """One direction: frames wait here until they are due."""

    def __init__(self, source: int, target: int, delay_ns: int, jitter_ns: int) -> None:
        self.source, self._target = source, target
        self._delay_ns, self._jitter_ns = delay_ns, jitter_ns
        self._random = random.Random(delay_ns)
        self._waiting: deque[tuple[int, bytes]] = deque()

    def take(self) -> None:
        """Read the frames that wait at the source; drop those that the lane has no room for."""
        while True:
            try:
                frame = os.read(self.source, FRAME_BYTES)
            except OSError:  # none waits, or the device is down
                return
            due_ns = time.monotonic_ns() + self._delay_ns + int(self._random.random() * self._jitter_ns)
            if len(self._waiting) < MOST_WAITING:
                last_ns = self._waiting[-1][0] if self._waiting else 0
                self._waiting.append((max(due_ns, last_ns), frame))

    def give(self) -> int | None:
        """Write the frames that are due; return when the next one is."""
        while self._waiting and self._waiting[0][0] <= time.monotonic_ns():
            try:
                os.write(self._target, self._waiting.popleft()[1])
            except OSError:  # the device is down: the frame is lost, as on a cable
                continue
        return self._waiting[0][0] if self._waiting else None


def relay(inside: int, outside: int, in_ns: int, out_ns: int, jitter_ns: int) -> None:
    """Pass on the frames of both lanes until the standard input ends."""
    lanes = [Lane(inside, outside, out_ns, jitter_ns), Lane(outside, inside, in_ns, jitter_ns)]
    while True:
        dues = [due for lane in lanes if (due := lane.give()) is not None]
        wait_s = max(min(dues) - time.monotonic_ns(), 0) / 1e9 if dues else None
        readable = select.select([0, inside, outside], [], [], wait_s)[0]
        if 0 in readable:
            return
        for lane in lanes:
            if lane.source in readable:
                lane.take()


if __name__ == "__main__":
    ends = tap(sys.argv[1]), tap(sys.argv[2])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    relay(*ends, *map(int, sys.argv[3:6]))
