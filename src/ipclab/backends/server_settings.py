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
    with ``appendfsync: always``, which says nothing of the disk. It keeps what the server keeps: nothing of
    a fan-out, which it keeps for nobody, and of what is delivered at most once not what was on its way to a
    consumer. A ``maxmemory-policy`` that evicts any key drops messages when memory is short; the channels'
    keys have no time to live, so that the policies for such keys evict none of them.
    """
    may_lose, durability = set(guarantees.may_lose), guarantees.durability
    logged = settings.get("appendonly") == "yes" and settings.get("appendfsync") == "always"
    if logged and not guarantees.fan_out:
        durability = "disk"
        if guarantees.delivery == "at-least-once":
            may_lose.discard("broker crash")
    if settings.get("maxmemory-policy", "noeviction").startswith("allkeys"):
        may_lose.add("overload")
    return replace(guarantees, may_lose=frozenset(may_lose), durability=durability)
