"""The lines of a history file, and the operations of each model."""

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
"""Faults after which their target process does nothing more."""
ANSWERS = frozenset(("read", "dequeue", "receive", "acquire"))
"""Operations whose value comes with ``ok``; the value of the others comes with ``invoke``."""
CODES = {f: code for code, f in enumerate(dict.fromkeys(f for fs in FUNCTIONS.values() for f in fs))}
NAMES = tuple(CODES)


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first line. All fields except the version are optional.

    ``model``      the model by which the history is checked, unless the caller names another.
    ``backend``    what was tested; for the reader's information, as are ``title`` and ``began_utc``.
    ``guarantee``  ``ordered``  ``fan_out``: what a channel declares (model ``delivery``): how often a message
                   arrives; whether a producer's order is kept; whether every consumer gets every message.
    ``drained``    false where the consumers stopped before nothing more came, so that a missing message is
                   not known to be lost.
    ``may_lose``   whether the faults may cost confirmed messages, according to the channel's declaration; the
                   default follows from the guarantee.
    ``in_flight``  how many messages a consumer may have been handed that ``receive`` did not return yet;
                   a kill of that consumer excuses as many losses.
    ``acknowledged``  whether the consumers log ``ack``, so that a message which only consumers received that
                   did not acknowledge it was not delivered; a history with an ``ack`` implies it.
    ``reentrant``  for a lock: whether its holder may acquire it again, and then releases it as often. Without
                   it, a history in which that happens and nothing else is wrong is ``unknown``.
    ``names``      names of processes: from a number, as text, to a name. Faults and pictures use it.
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
