"""What a server's settings change in what a channel on it declares. Pure.

A backend declares what holds on a server as it comes, since the client cannot know how it was set up. A trial
that sets the server for itself does know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ipclab.backends.base import Guarantees


def under(guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
    """What is declared on a server with these settings.

    ``appendonly: yes`` writes every command to a file: what was confirmed outlives the end of the process
    with ``appendfsync: always``, which says nothing of the disk. An evicting ``maxmemory-policy`` drops
    messages when memory is short.
    """
    may_lose, durability = set(guarantees.may_lose), guarantees.durability
    if settings.get("appendonly") == "yes" and settings.get("appendfsync") == "always":
        may_lose.discard("broker crash")
        durability = "disk"
    if settings.get("maxmemory-policy", "noeviction") != "noeviction":
        may_lose.add("overload")
    return replace(guarantees, may_lose=frozenset(may_lose), durability=durability)
