"""The rules of the proxy for the bytes it carries: set by the lab's commands, read by every link.

Everything here belongs to the event loop of the proxy's process.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["up", "down"]
"""``up`` is towards the server."""
Mode = Literal["pass", "hold", "swallow"]


@dataclass(slots=True)
class Trap:
    """Holds the first link that has forwarded ``count`` bytes in this direction since the trap was set."""

    direction: Direction
    count: int
    forwarded: defaultdict[object, int] = field(default_factory=lambda: defaultdict(int))

    def left(self, link: object) -> int:
        """Return how many bytes this link may still forward."""
        return self.count - self.forwarded[link]


@dataclass(slots=True)
class Drop:
    """Drops the next bytes from the server: any, or those on a link that has forwarded a request since."""

    replies_only: bool
    asked: set[object] = field(default_factory=set)


class Rules:
    """The state of the proxy: the mode of all links, the trap and the drop that are set, the flow."""

    def __init__(self) -> None:
        self.forwarded_bytes: dict[Direction, int] = {"up": 0, "down": 0}
        self.sprung = asyncio.Event()
        self.dropped = asyncio.Event()
        self._held: set[object] = set()
        self._changed = asyncio.Event()
        self._back_to_normal()

    def _back_to_normal(self) -> None:
        self.mode: Mode = "pass"
        self.delay_s = 0.0
        self.slice_bytes: int | None = None
        self.bytes_per_s: float | None = None
        self._trap: Trap | None = None
        self._drop: Drop | None = None
        self._held.clear()

    def pass_all(self) -> None:
        """Undo every other command."""
        self._back_to_normal()
        self._tell()

    def set_mode(self, mode: Mode) -> None:
        """Set the mode of all links from now on."""
        self.mode = mode
        self._tell()

    def set_trap(self, trap: Trap) -> None:
        """Replace the trap that was set before."""
        self._trap = trap
        self.sprung.clear()

    def set_drop(self, drop: Drop) -> None:
        """Replace the drop that was set before."""
        self._drop = drop
        self.dropped.clear()

    def holds(self, link: object) -> bool:
        """Return whether this link's bytes have to wait."""
        return self.mode == "hold" or link in self._held

    def lets_through(self, link: object) -> bool:
        """Return whether this link is neither held nor in a black hole."""
        return self.mode == "pass" and not self.holds(link)

    def forget(self, link: object) -> None:
        """Forget a link that has ended."""
        self._held.discard(link)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a command has made the condition true."""
        while not condition():
            await self._changed.wait()

    def room(self, link: object, direction: Direction, wanted_bytes: int) -> int:
        """Return how much of ``wanted_bytes`` the link may forward at once; at 0 the trap has caught it."""
        room = wanted_bytes
        if self.bytes_per_s is not None:
            # A slow line may carry its share of 20 ms at once, so that it flows and does not stutter.
            room = min(room, max(1, int(self.bytes_per_s / 50)))
        if self.slice_bytes is not None:
            room = min(room, self.slice_bytes)
        if self._trap is not None and self._trap.direction == direction:
            room = min(room, self._trap.left(link))
            self._spring_if_due(link)
        return room

    def forwarding(self, link: object, direction: Direction) -> None:
        """Note that bytes will be sent on: an answer may come before the sender knows that it has sent."""
        if direction == "up" and self._drop is not None:
            self._drop.asked.add(link)

    def forwarded(self, link: object, direction: Direction, size_bytes: int) -> None:
        """Note that bytes were sent on."""
        self.forwarded_bytes[direction] += size_bytes
        if self._trap is not None and self._trap.direction == direction:
            self._trap.forwarded[link] += size_bytes
            self._spring_if_due(link)

    def takes_for_drop(self, link: object) -> bool:
        """Return whether bytes that have just come from the server are the ones to be dropped; true once."""
        drop = self._drop
        if drop is None or self.mode == "swallow" or (drop.replies_only and link not in drop.asked):
            return False
        self._drop = None
        return True

    def _spring_if_due(self, link: object) -> None:
        if self._trap is not None and self._trap.left(link) <= 0:
            self._trap = None
            self._held.add(link)
            self.sprung.set()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
