"""The closed sets that describe a fault: its target, its moment, and its general effect on a process."""

from __future__ import annotations

from typing import Literal, get_args

Target = Literal["producer", "consumer", "broker"]
"""The first producer, the first consumer, or the broker (or the backend's own server process)."""
Moment = Literal["idle", "busy", "working", "mid-message"]
"""``idle``: nothing is in progress (messages may rest in the broker); ``busy``: messages flow; ``working``: a
consumer has received a message and not acknowledged it yet; ``mid-message``: a part of one large message has
been carried."""
Effect = Literal["ends", "stops", "cuts", "fills"]
"""``ends``: its target ends, and is replaced or started again; ``stops``: it stands still for a while;
``cuts``: its connections are lost; ``fills``: it has no room for messages."""

TARGETS: tuple[Target, ...] = get_args(Target)
MOMENTS: tuple[Moment, ...] = get_args(Moment)
EFFECTS: tuple[Effect, ...] = get_args(Effect)
