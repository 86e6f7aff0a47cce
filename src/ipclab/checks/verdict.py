"""The answer of a check: a verdict of three values, and the few operations that clash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ipclab.checks.delivery import Verdict as Word
from ipclab.history.columns import Fault, History, Operation
from ipclab.history.format import Model, Name

FAULTS_SHOWN = 8
EXAMPLES = 100
"""How many anomalies of a kind are examined for the smallest counterexample."""


class Counterexample(msgspec.Struct, frozen=True, kw_only=True):
    """Operations that are impossible together. ``anomaly`` names the anomaly, ``explanation`` is a sentence
    about it, ``operations`` are in the order of their invocation, ``faults`` are those of about that time."""

    anomaly: str
    explanation: str
    operations: tuple[Operation, ...]
    faults: tuple[Fault, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``valid``: the check found no anomaly; ``invalid``: the history is impossible, and the counterexample
    shows why; ``unknown``: the check could not decide, for ``reason``.

    ``methods``    what decided, such as ``zones`` or ``search``.
    ``anomalies``  the number of each; an anomaly that only a search shows is counted once per key.
    ``counts``     other counts: the delivery ledger, steps of a search.
    ``notes``      what the reader should know about what was decided, and what was not.
    """

    verdict: Word
    model: Model
    methods: tuple[str, ...]
    operations: int
    keys: int
    faults: int
    anomalies: dict[str, int]
    reason: str
    counterexample: Counterexample | None
    counts: dict[str, int]
    notes: tuple[str, ...]


@dataclass(slots=True)
class Findings:
    """The findings of one check so far. ``clash()`` keeps the earliest of the smallest counterexamples."""

    history: History
    anomalies: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unfit: dict[int, str] = field(default_factory=dict)
    """Keys, as indexes in ``history.keys``, that the check cannot decide, with the reason."""
    undecided: str = ""
    _best: tuple[int, int] = (1 << 30, 0)
    _clash: tuple[str, str, tuple[int, ...]] | None = None

    def clash(self, anomaly: str, count: int, places: Iterable[int], explanation: str) -> None:
        """Enter ``count`` anomalies, and the operations of the first of them."""
        if not count:
            return
        self.anomalies[anomaly] = self.anomalies.get(anomaly, 0) + count
        chosen = tuple(sorted({int(i) for i in places}, key=lambda i: (self.history.start[i], i)))
        size = len(chosen), int(self.history.start[chosen[-1]]) if chosen else 0
        if size < self._best:
            self._best, self._clash = size, (anomaly, explanation, chosen)

    def enough(self, anomaly: str) -> bool:
        """Return whether so many were found that another one is only counted; count it then."""
        if self.anomalies.get(anomaly, 0) < EXAMPLES:
            return False
        self.anomalies[anomaly] += 1
        return True

    def counterexample(self) -> Counterexample | None:
        """Return the smallest counterexample that was entered."""
        if self._clash is None:
            return None
        anomaly, explanation, places = self._clash
        operations = tuple(self.history.operation(i) for i in places)
        return Counterexample(
            anomaly=anomaly,
            explanation=explanation,
            operations=operations,
            faults=_faults_around(self.history.faults, operations),
        )

    def say(self, i: int) -> str:
        """Return an operation in words: ``read of 3 by process 2``."""
        op = self.history.operation(int(i))
        return f"{words(op)} by {self.history.name(op.process)}"


def words(op: Operation) -> str:
    """Return an operation without its process: ``write 3``, ``read → 3``, ``dequeue → empty``."""
    text = op.f
    if op.f in ("dequeue", "receive", "read", "acquire"):
        if op.outcome == "ok":
            empty = op.value is None and op.f in ("dequeue", "receive")
            text += " → empty" if empty else f" → {shown(op.value)}"
    elif op.value is not None or op.f == "write":
        text += f" {shown(op.value)}"
    if op.outcome == "fail":
        return f"{text} ✕"
    return text if op.outcome == "ok" else f"{text} …"


def shown(value: Any) -> str:
    """Return a value as text, shortened if it is long."""
    text = "null" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= 20 else f"{text[:19]}…"


def _faults_around(faults: Sequence[Fault], operations: Sequence[Operation]) -> tuple[Fault, ...]:
    """Return the faults that overlap the time of these operations; the first of them where there are many."""
    if not operations:
        return ()
    first = min(op.start_ns for op in operations)
    last = max(op.start_ns if op.end_ns is None else op.end_ns for op in operations)
    near = (f for f in faults if f.start_ns <= last and (f.end_ns is None or f.end_ns >= first))
    return tuple(fault for fault, _ in zip(near, range(FAULTS_SHOWN), strict=False))


def key_words(key: Name | None) -> str:
    """Return a key in words, such as `` of 'q1'``; empty where there is no key."""
    return "" if key is None else f" of {key!r}"
