"""The delivery ledger: accounts for every message and judges it against what the channel declares.

With A the messages that were attempted, E ⊆ A those that were confirmed, and D the receipts (a multiset)::

    lost        in E, never received
    recovered   in A but not in E, yet received (the operation was indefinite, not failed)
    duplicated  receipts beyond the first of a message
    unexpected  receipts of what nobody sent
    corrupted   receipts whose bytes are not those that were sent
    reordered   receipts that come, at one consumer, after a later message of the same producer
    received_before_sent  receipts with an earlier time than the start of their message's send

    With fan-out every consumer should receive every message, and each is accounted for by itself.

    Counts take one byte per message and consumer group, and up to three more for each message of the producer
    that is being settled: 10 million messages of four producers took 24 MB in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ipclab.checks.breach import Breach, BreachKind, kinds
from ipclab.checks.drops import Drops

Verdict = Literal["valid", "invalid", "unknown"]

_MOST = np.iinfo(np.uint8).max
_DENSE = 4
"""Sequences whose range is at most this many times their number are counted in place."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of messages over a whole trial, warm-up and drain included.

    With fan-out, ``owed`` is the number of confirmed messages times the consumers. ``verdict`` is about the
    declared guarantee, and ``broken`` has its breaches (empty for none). ``examples`` has the smallest
    evidence: up to three messages (producer/sequence) for each anomaly, or for corrupted ones the index of
    the receipt at its consumer; all are counted from 0.

    ``unaccounted`` are the confirmed messages that were not received in a trial that did not finish: the lab
    stopped looking for them, so none of them counts as lost.
    """

    attempted: int
    confirmed: int
    owed: int
    received: int
    lost: int
    recovered: int
    duplicated: int
    unexpected: int
    corrupted: int
    reordered: int
    received_before_sent: int = 0
    verdict: Verdict
    broken: list[Breach]
    examples: dict[str, list[str]]
    unaccounted: int = 0


def of_unfinished(ledger: Ledger) -> Ledger:
    """Return the ledger of a trial that did not finish: missing messages are unaccounted for, and not lost.

    What was proven before stays: a breach, and with one of kind ``lost`` the count of the lost. Without a
    breach nothing is known, so the verdict is ``unknown``.
    """
    if "lost" in kinds(ledger.broken):
        return ledger
    return msgspec.structs.replace(
        ledger,
        lost=0,
        unaccounted=ledger.unaccounted + ledger.lost,
        verdict="invalid" if ledger.broken else "unknown",
        examples={name: some for name, some in ledger.examples.items() if name != "lost"},
    )


class DeliveryCheck:
    """Collects receipts and settles the ledger. Not thread-safe.

    ``attempted`` and ``confirmed`` are counts by producer: its sequences 0 to attempted - 1 were sent, in
    this order, and the first ``confirmed`` of these were confirmed. ``consumers`` is the number of consumers.

    Where unconfirmed messages are not the last of a producer, ``sure`` is a mask of the confirmed ones,
    producer after producer in the order of their sequences, and ``confirmed`` is their number. An unconfirmed
    message may arrive at any time, so its late arrival is no reordering.
    """

    def __init__(
        self,
        attempted: Sequence[int],
        confirmed: Sequence[int],
        *,
        consumers: int,
        fan_out: bool = False,
        sure: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self._attempted = np.asarray(attempted, np.int64)
        self._confirmed = np.asarray(confirmed, np.int64)
        if (self._confirmed > self._attempted).any():
            raise ValueError("more messages were confirmed than attempted")
        self._starts = np.concatenate(([0], np.cumsum(self._attempted)))
        groups = consumers if fan_out else 1
        self._counts = np.zeros((groups, int(self._starts[-1])), np.uint8)
        self._sure = sure
        self._extra = 0
        self._fan_out = fan_out
        self._newest = np.full((consumers, len(self._attempted)), -1, np.int64)
        self._received = [0] * consumers
        self._late: list[tuple[int, npt.NDArray[np.int64]]] = []
        self._unexpected = self._corrupted = self._reordered = self._early = 0
        self._examples: dict[str, list[str]] = {}

    def add(
        self,
        consumer: int,
        producers: npt.NDArray[np.integer],
        sequences: npt.NDArray[np.integer],
        intact: npt.NDArray[np.bool_],
        early: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Enter receipts of one consumer, in the order of arrival; the arrays are parallel.

        A producer's number is that of a header: 0 to 65535. ``early`` is a mask of the receipts that came
        before the send of their message began; None where that is not known.
        """
        if early is not None and early.any():
            self._early += int(early.sum())
            first = np.flatnonzero(early)[:3]
            self._note("received_before_sent", [f"{producers[i]}/{sequences[i]}" for i in first])
        damaged = np.flatnonzero(~intact)
        self._corrupted += len(damaged)
        before = self._received[consumer]
        self._note("corrupted", [f"receipt {before + i} at consumer {consumer}" for i in damaged[:3]])
        self._received[consumer] += len(producers)
        if not intact.all():
            producers, sequences = producers[intact], sequences[intact]
        group = consumer if self._fan_out else 0
        for who in np.flatnonzero(np.bincount(producers)).tolist():
            mine = producers == who
            what = sequences if mine.all() else sequences[mine]
            expected = (what >= 0) & (what < (self._attempted[who] if who < len(self._attempted) else 0))
            if not expected.all():
                self._unexpected += int((~expected).sum())
                self._note("unexpected", [f"{who}/{sequence}" for sequence in what[~expected][:3]])
                what = what[expected]
            if len(what):
                known: npt.NDArray[np.int64] = what.astype(np.int64)
                self._count(group, who, known)
                self._order(consumer, group, who, known)

    def once(
        self, consumer: int, producers: npt.NDArray[np.integer], sequences: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.bool_]:
        """Return which of these messages were confirmed and received exactly once so far."""
        known = (producers < len(self._attempted)) & (sequences >= 0)
        most = self._confirmed if self._sure is None else self._attempted
        known[known] = sequences[known] < most[producers[known]]
        group = consumer if self._fan_out else 0
        places = self._starts[producers[known]] + sequences[known].astype(np.int64)
        once = self._counts[group][places] == 1
        known[known] = once if self._sure is None else once & self._sure[places]
        return known

    def missing(self) -> npt.NDArray[np.bool_]:
        """Return which messages were confirmed and not received: one row per consumer that should receive
        them (with fan-out), else one row, in the order of ``sure``. Takes as many bytes again.
        """
        missing: npt.NDArray[np.bool_] = self._counts == 0
        missing &= self._mask_of_confirmed() if self._sure is None else self._sure
        return missing

    def _mask_of_confirmed(self) -> npt.NDArray[np.bool_]:
        mask = np.zeros(int(self._starts[-1]), np.bool_)
        for start, confirmed in zip(self._starts, self._confirmed, strict=False):
            mask[start : start + confirmed] = True
        return mask

    def settle(
        self, *, may_lose: bool, may_duplicate: bool, ordered: bool, drops: Drops | None = None
    ) -> Ledger:
        """Return the ledger so far, judged by whether the channel may lose, repeat or reorder messages.

        With ``drops``, ``may_lose`` is False, and as many losses are excused as the drops explain.
        Order is promised only while nothing is redelivered. So where a channel may repeat, a late receipt of
        a message that came more than once is no breach; the ledger still counts it.
        """
        lost = recovered = 0
        for producer, (attempted, confirmed) in enumerate(zip(self._attempted, self._confirmed, strict=True)):
            start = self._starts[producer]
            seen = self._counts[:, start : start + attempted] > 0
            if self._sure is None:
                missing = ~seen[:, :confirmed]
                recovered += int(seen[:, confirmed:].sum())
            else:
                sure = self._sure[start : start + attempted]
                missing = ~seen & sure
                recovered += int((seen & ~sure).sum())
            lost += int(missing.sum())
            gone = np.flatnonzero(missing.any(axis=0))[:3]
            self._note("lost", [f"{producer}/{sequence}" for sequence in gone])
        duplicated = self._extra
        broken: list[Breach] = []

        def breach(kind: BreachKind, amount: int, text: str) -> None:
            broken.append(Breach(kind=kind, amount=amount, text=text))

        if lost and not may_lose and not (drops is not None and drops.explain(lost)):
            breach("lost", lost, f"lost {lost} confirmed messages{drops.in_words if drops else ''}")
        if duplicated and not may_duplicate:
            breach("duplicated", duplicated, f"delivered {duplicated} messages again")
        out_of_order = self._late_once() if may_duplicate else self._reordered
        if out_of_order and ordered:
            text = f"delivered {out_of_order} messages out of their producer's order"
            breach("reordered", out_of_order, text)
        if self._unexpected:
            text = f"delivered {self._unexpected} messages that nobody sent"
            breach("unexpected", self._unexpected, text)
        if self._corrupted:
            breach("corrupted", self._corrupted, f"delivered {self._corrupted} corrupted messages")
        if self._early:
            text = f"delivered {self._early} messages before they were sent"
            breach("received_before_sent", self._early, text)
        return Ledger(
            attempted=int(self._attempted.sum()),
            confirmed=int(self._confirmed.sum()),
            owed=int(self._confirmed.sum()) * len(self._counts),
            received=sum(self._received),
            lost=lost,
            recovered=recovered,
            duplicated=duplicated,
            unexpected=self._unexpected,
            corrupted=self._corrupted,
            reordered=self._reordered,
            received_before_sent=self._early,
            verdict="invalid" if broken else "valid",
            broken=broken,
            examples=self._examples,
        )

    def _late_once(self) -> int:
        """Return the number of late receipts of messages that came only once: no repetition explains them."""
        return sum(int((self._counts[group][places] == 1).sum()) for group, places in self._late)

    def _count(self, group: int, producer: int, sequences: npt.NDArray[np.int64]) -> None:
        lowest, highest = int(sequences.min()), int(sequences.max())
        start = int(self._starts[producer])
        if highest - lowest < _DENSE * len(sequences):
            # Count the range from the lowest to the highest at once: no sorting where they are close
            # together.
            first, times = lowest, np.bincount(sequences - lowest)
            place: slice | npt.NDArray[np.int64] = slice(start + lowest, start + highest + 1)
        else:
            first, (unique, times) = 0, np.unique(sequences, return_counts=True)
            place = start + unique
        counts = self._counts[group]
        before = counts[place]
        after = before + times
        repeated = (after > 1) & (times > 0)
        if repeated.any():
            self._extra += len(sequences) - int(((before == 0) & (times > 0)).sum())
            which = np.flatnonzero(repeated)[:3]
            named = which + first if isinstance(place, slice) else unique[which]
            self._note("duplicated", [f"{producer}/{sequence}" for sequence in named])
        counts[place] = np.minimum(after, _MOST)

    def _order(self, consumer: int, group: int, producer: int, sequences: npt.NDArray[np.int64]) -> None:
        newest = self._newest[consumer, producer]
        if sequences[0] >= newest and (sequences[1:] >= sequences[:-1]).all():
            self._newest[consumer, producer] = sequences[-1]
            return
        reached = np.maximum.accumulate(np.concatenate(([newest], sequences)))
        late = sequences < reached[:-1]
        self._newest[consumer, producer] = reached[-1]
        if self._sure is not None:
            late &= self._sure[self._starts[producer] + sequences]
            if not late.any():
                return
        self._reordered += int(late.sum())
        self._late.append((group, self._starts[producer] + sequences[late]))
        place = int(np.flatnonzero(late)[0])
        self._note(
            "reordered",
            [f"{producer}/{sequences[place]} after {producer}/{reached[place]} at consumer {consumer}"],
        )

    def _note(self, anomaly: str, examples: list[str]) -> None:
        if examples:
            kept = self._examples.setdefault(anomaly, [])
            new = [example for example in dict.fromkeys(examples) if example not in kept]
            kept.extend(new[: 3 - len(kept)])
