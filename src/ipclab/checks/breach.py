"""A breach of a declared guarantee, as data: a kind, an amount, and a sentence for people.

Programs read ``kind`` and ``amount``. Only people read ``text``: it may be reworded at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

BreachKind = Literal[
    "lost",
    "duplicated",
    "reordered",
    "unexpected",
    "corrupted",
    "received_before_sent",
    "phantom",
    "race",
    "fix_failed",
    "other",
]
"""The kind of a breach.

``lost``         confirmed messages that nobody received; confirmed increments not in the final value.
``duplicated``   receipts beyond the first of a message, where the backend declares that there are none.
``reordered``    receipts after a later message of the same producer, where the backend declares their order.
``unexpected``   receipts of messages that nobody sent.
``corrupted``    receipts whose bytes are not those that were sent.
``received_before_sent``  receipts that ended before the send of their message began.
``phantom``      increments that the counter shows and that nobody made.
``race``         an anomaly of shared state under a discipline that declares itself safe.
``fix_failed``   a client library with the fix applied that still showed its fault.
``other``        none of these.
"""


class Breach(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One breach. ``amount`` is how often it occurred, in the unit of the kind: messages, receipts,
    increments or anomalies; 0 where it is not known. ``text`` is one sentence about it."""

    kind: BreachKind
    amount: int
    text: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.text


def texts(breaches: Iterable[Breach]) -> list[str]:
    """Return the sentences of some breaches, in their order."""
    return [breach.text for breach in breaches]


def kinds(breaches: Iterable[Breach]) -> frozenset[BreachKind]:
    """Return the kinds that occur among some breaches."""
    return frozenset(breach.kind for breach in breaches)
