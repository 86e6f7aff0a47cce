"""The lines of a history file, and which operations there are."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

VERSION = 1
FAULT = "fault"
"""The process whose lines are faults."""

Model = Literal["register", "queue", "delivery", "counter", "lock"]
Guarantee = Literal["at-most-once", "at-least-once", "exactly-once"]
Kind = Literal["invoke", "ok", "fail", "info"]
Name = int | str

FUNCTIONS: dict[Model, tuple[str, ...]] = {
    "register": ("read", "write", "cas"),
    "queue": ("enqueue", "dequeue"),
    "delivery": ("send", "receive", "ack"),
    "counter": ("add", "read"),
    "lock": ("acquire", "release"),
}
"""The operations of each model."""
SAME_AS = {"send": "enqueue", "receive": "dequeue", "enqueue": "send", "dequeue": "receive"}
"""A queue's history may be checked as a delivery, and the other way round."""
ENDINGS = frozenset(("kill", "terminate"))
"""Faults after which the process that they struck does nothing more."""
ANSWERS = frozenset(("read", "dequeue", "receive", "acquire"))
"""Operations whose value comes with ``ok``; that of the others comes with ``invoke``."""
CODES = {f: code for code, f in enumerate(dict.fromkeys(f for fs in FUNCTIONS.values() for f in fs))}
NAMES = tuple(CODES)


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first line. All but the version may be left out.

    ``model``      what the history is checked as, unless the caller says otherwise.
    ``backend``    what was tried; for the reader's information, as are ``title`` and ``began_utc``.
    ``guarantee``  ``ordered``  ``fan_out``: what a channel declares (model ``delivery``): how often a message
                   arrives; whether a producer's order is kept; whether every consumer gets every message.
    ``drained``    false where the consumers did not go on until nothing more came, so that a message that
                   was not received is not known to be lost.
    ``may_lose``   whether what was done to the system may cost confirmed messages, by what the channel
                   declares; left out, the guarantee says.
    ``in_flight``  how many messages a consumer may have been handed that ``receive`` did not return yet;
                   a kill of that consumer excuses as many losses.
    ``acknowledged``  whether the consumers log ``ack``, so that a message which only consumers received that
                   did not acknowledge it was not delivered; a history with an ``ack`` says so by itself.
    ``reentrant``  of a lock: whether its holder may acquire it again, and then releases it as often. Left
                   out, a history in which that happens and nothing else is wrong is ``unknown``.
    ``names``      what processes are called: a number, as text, to a name. Faults and pictures use it.
    """

    ipclab_history: int
    model: Model | None = None
    backend: str = ""
    title: str = ""
    began_utc: str = ""
    guarantee: Guarantee | None = None
    ordered: bool = False
    fan_out: bool = False
    drained: bool = True
    may_lose: bool | None = None
    in_flight: int = 0
    acknowledged: bool = False
    reentrant: bool | None = None
    names: dict[str, str] = {}


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Any other line. ``time`` is in nanoseconds on the one monotonic clock of the host."""

    process: Name
    type: Kind
    f: str
    time: int
    value: Any = None
    key: Name | None = None
