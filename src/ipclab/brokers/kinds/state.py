"""What a server reports about itself before a run, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """The settings of a server, and whether a run can use it.

    ``settings``          by name, as the server reports them; stored with the result, so nothing secret.
    ``unusable``          why no run can use it, in words that follow its address; empty where one can.
    ``free_connections``  how many more clients it accepts; None where it does not report it or has no limit.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    unusable: str = ""
    free_connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much a server takes before it evicts or refuses.

    ``free_bytes``  what it still takes. ``items`` and ``item_bytes``: the number of stored items, and
    their average size. ``evicts``: whether it makes room by dropping items of others; if not, it refuses.
    """

    free_bytes: int
    items: int
    item_bytes: int
    evicts: bool

    def evicted_by(self, size_bytes: int) -> int:
        """Return roughly how many items a server drops to take this many bytes."""
        if not self.evicts:
            return 0
        missing = max(size_bytes - self.free_bytes, 0)
        return min(self.items, -(-missing // max(self.item_bytes, 1)))
