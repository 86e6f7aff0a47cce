"""How many of the messages of a trial have arrived, told while its consumers are still at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ipclab.trial import rawlog
from ipclab.trial.message import Originals
from ipclab.trial.rawlog import ReceiptWatch
from ipclab.trial.worker import receipts_path

_CHUNK = 500_000


class Arrivals:
    """Which messages have arrived, by the logs of the consumers. For the lab's own process.

    Receipts are not messages: one that came twice must not stand in for one that is still under way. So once
    there are as many receipts as messages are owed, the messages themselves are counted.
    """

    def __init__(
        self, logs: Path, sent: Sequence[int], originals: Originals, consumers: int, *, fan_out: bool
    ) -> None:
        """``sent`` is how many messages each producer has sent, ``originals`` what they looked like."""
        self._originals = originals
        self._paths = [receipts_path(logs, f"consumer-{i}") for i in range(consumers)]
        self._watches = [ReceiptWatch(path) for path in self._paths]
        self._sent = np.asarray(sent, np.int64)
        self._fan_out = fan_out
        self.owed = int(self._sent.sum()) * (consumers if fan_out else 1)
        self._enough = self.owed
        self._missing = self.owed

    def receipts(self) -> int:
        """How many receipts there are by now."""
        return sum(watch.count() for watch in self._watches)

    def missing(self) -> int:
        """How many messages have not arrived, as far as is known; 0 only when none is missing."""
        receipts = self.receipts()
        if receipts >= self._enough:
            self._missing = self.owed - self._different()
            # As many receipts more are the fewest with which nothing may be missing.
            self._enough = receipts + self._missing
            return self._missing
        return max(self._enough - receipts, 1)

    def close(self) -> None:
        """Let go of the logs."""
        for watch in self._watches:
            watch.close()

    def _different(self) -> int:
        """How many different messages have arrived, at every consumer where each is owed all."""
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
