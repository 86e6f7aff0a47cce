"""Counts the messages of a trial that have arrived, while its consumers still run, and decides how long to
wait for the rest.

A message is late as long as other messages keep arriving. It is given up when none has arrived for several
times the longest pause that this trial has shown so far. A message that arrives after that, before the stop
message, still counts as received.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ipclab.trial import rawlog
from ipclab.trial.message import Originals
from ipclab.trial.rawlog import ReceiptWatch
from ipclab.trial.worker import receipts_path

PATIENCE = 4
"""Missing messages are given up after this many times the longest pause so far without a receipt."""
POLL_S = 0.002
_CHUNK = 500_000


class Arrivals:
    """Which messages have arrived, according to the logs of the consumers. For the lab's own process.

    Receipts are not messages: a message that arrived twice must not replace one that is still in flight. So
    once there are as many receipts as messages are due, the messages themselves are counted.
    """

    def __init__(
        self,
        logs: Path,
        sent: Sequence[int],
        originals: Originals,
        consumers: int,
        *,
        fan_out: bool,
        fetch: Callable[[], None] = lambda: None,
    ) -> None:
        """Set up. ``sent`` is how many messages each producer has sent, ``originals`` are their bodies.

        ``fetch`` brings the logs up to date; it is called before receipts are read.
        """
        self._fetch = fetch
        self._originals = originals
        self._paths = [receipts_path(logs, f"consumer-{i}") for i in range(consumers)]
        self._watches = [ReceiptWatch(path) for path in self._paths]
        self._sent = np.asarray(sent, np.int64)
        self._fan_out = fan_out
        self.owed = int(self._sent.sum()) * (consumers if fan_out else 1)
        self._enough = self.owed
        self._missing = self.owed

    def receipts(self) -> int:
        """Return the number of receipts so far."""
        return sum(watch.count() for watch in self._watches)

    def by_consumer(self) -> list[int]:
        """Return the number of receipts so far of each consumer."""
        return [watch.count() for watch in self._watches]

    def missing(self) -> int:
        """Return how many messages have not arrived, as far as is known; 0 only when none is missing."""
        receipts = self.receipts()
        if receipts >= self._enough:
            self._missing = self.owed - self._different()
            # At least this many more receipts must come before nothing can be missing.
            self._enough = receipts + self._missing
            return self._missing
        return max(self._enough - receipts, 1)

    def recount(self) -> int:
        """Return how many messages have not arrived, by reading every receipt."""
        self._missing = self.owed - self._different()
        return self._missing

    def longest_pause_s(self) -> float:
        """Return the longest time between two receipts of the same consumer; 0 where none had two."""
        self._fetch()
        longest_ns = 0
        for path in self._paths:
            before_ns = 0
            for receipts in rawlog.receipt_chunks(path, _CHUNK):
                times_ns = receipts["time_ns"]
                pauses_ns = np.diff(times_ns, prepend=before_ns or times_ns[0])
                longest_ns, before_ns = max(longest_ns, int(pauses_ns.max())), int(times_ns[-1])
        return longest_ns / 1e9

    def close(self) -> None:
        """Close the logs."""
        for watch in self._watches:
            watch.close()

    def _different(self) -> int:
        """Return how many distinct messages have arrived, at each consumer where each is due all of them."""
        self._fetch()
        starts = np.concatenate(([0], np.cumsum(self._sent)))
        groups = len(self._paths) if self._fan_out else 1
        arrived = np.zeros((groups, int(starts[-1])), np.bool_)
        for consumer, path in enumerate(self._paths):
            for receipts in rawlog.receipt_chunks(path, _CHUNK):
                header = receipts["header"][self._originals.are_intact(receipts)]
                header = header[header["producer"] < len(self._sent)]
                producers, sequences = header["producer"], header["sequence"]
                known = sequences < self._sent[producers].astype(np.uint64)
                places = starts[producers[known]] + sequences[known].astype(np.int64)
                arrived[consumer if self._fan_out else 0, places] = True
        return int(arrived.sum())


class Progress:
    """Whether messages keep arriving. Not a deadline: the time starts anew with every receipt."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._receipts = arrivals.receipts()
        self._moved_s = self._counted_s = time.monotonic()
        self._left = arrivals.owed + 1

    def still_s(self, stops: int = 0) -> float:
        """Return for how many seconds there has been no receipt.

        A channel that changes bodies may turn stop messages into receipts, so as many receipts as ``stops``
        that were sent do not count.
        """
        now_s = time.monotonic()
        if (receipts := self._arrivals.receipts() - stops) > self._receipts:
            self._receipts, self._moved_s = receipts, now_s
        return now_s - self._moved_s

    def only_repeats(self, within_s: float) -> bool:
        """Return whether only repeats arrived in the last ``within_s``; False before that time has passed."""
        now_s = time.monotonic()
        if now_s - self._counted_s < within_s:
            return False
        before, self._left, self._counted_s = self._left, self._arrivals.recount(), now_s
        return self._left >= before


def drain(
    arrivals: Arrivals, listen: Callable[[float], bool], *, quiet_s: float, sending_s: float, most_s: float
) -> None:
    """Wait until every message has arrived, or the rest may be given up.

    The rest is given up when nothing has arrived for ``quiet_s`` and for ``PATIENCE`` times the longest pause
    so far, at most ``most_s``; or when only repeats arrived within ``most_s``. ``sending_s`` is how long
    there has been something to receive: the pause of a consumer that has received nothing. ``listen`` passes
    some time and returns whether to continue.
    """
    progress, patience_s = Progress(arrivals), quiet_s
    began_s = time.monotonic()
    while arrivals.missing():
        still_s, now_s = progress.still_s(), time.monotonic()
        if still_s > patience_s:
            pause_s = arrivals.longest_pause_s() or sending_s + now_s - began_s - still_s
            wanted_s = min(max(quiet_s, PATIENCE * pause_s), most_s)
            if wanted_s <= patience_s:
                return
            patience_s = wanted_s
        if progress.only_repeats(most_s) or not listen(POLL_S):
            return
