"""Which fault a trial suffers: what is done, to whom, and when. What doing it means is in ``faults.py``."""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal["kill", "pause", "restart", "cut", "drop-reply", "fill-memory"]
Target = Literal["producer", "consumer", "broker"]
Moment = Literal["idle", "busy", "working", "mid-message"]

ACTIONS: tuple[Action, ...] = ("kill", "pause", "restart", "cut", "drop-reply", "fill-memory")
TARGETS: tuple[Target, ...] = ("producer", "consumer", "broker")
MOMENTS: tuple[Moment, ...] = ("idle", "busy", "working", "mid-message")


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault of a trial.

    ``action``  ``kill``: SIGKILL, then another process (or the broker again) in its place; ``pause``:
                SIGSTOP, later SIGCONT; ``restart``: ended in good order and started again; ``cut``: what goes
                over the connections is swallowed for a while, then they are reset; ``drop-reply``: a request
                reaches the broker, its reply is dropped and the connection reset; ``fill-memory``: the broker
                is given more than its memory holds.
    ``target``  the first producer, the first consumer, or the broker (or the backend's own server process).
    ``moment``  ``idle``: nothing is under way (messages may rest in the broker); ``busy``: messages flow;
                ``working``: a consumer has received a message and not acknowledged it yet;
                ``mid-message``: of one large message a part has been carried.
    """

    action: Action
    target: Target
    moment: Moment

    def __str__(self) -> str:
        return f"{self.action} {self.target}, {self.moment}"
