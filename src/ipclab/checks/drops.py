"""Whether a server's own drops can be what became of lost messages, by its counters. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drops:
    """What a server dropped on its own while a trial ran.

    ``items``      how many, by its own counters; those of other users count too.
    ``most_lost``  how many of the trial's messages that can have cost at most; None for no bound.
    """

    items: int
    most_lost: int | None

    def explain(self, lost: int) -> bool:
        """Return whether they can be the cause of so many lost messages."""
        return self.most_lost is None or lost <= self.most_lost

    @property
    def in_words(self) -> str:
        """Return what follows the number of the lost in a sentence."""
        many = "1 item" if self.items == 1 else f"{self.items} items"
        none_of_ours = ", none of them of the lab" if self.items and self.most_lost == 0 else ""
        return f", the server evicted {many} during the trial{none_of_ours}"
