"""The bound on the messages in flight, as each producer of a stream keeps it.

A clock cannot tell a slow message from a lost one, so no clock decides. A message counts as lost only once a
later message of the same producer was received. Where no message arrives, the producer sends one more window
as a probe, and waits again. If the probe arrives, the missing messages before it were lost; if it does not,
the channel is slow, and the bound stays in force.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ipclab.host.clock import now_ns
from ipclab.trial.rawlog import RawLog, ReceiptWatch

STALL_SLEEP_S = 0.0001
LONGEST_STALL_SLEEP_S = 0.001
STILL_NS = 100_000_000
"""Seconds without progress after which a producer checks for overtaken messages, or sends a probe."""
STILL_FAR_NS = 1_000_000_000
"""The same where consumers are on other machines, whose progress may be a fraction of a second old."""
LOOKED_AT = 4096
"""The newest receipts of each consumer that are read to find overtaken messages."""


@dataclass(slots=True)
class Backlog:
    """The number of messages in flight, derived from the progress of all logs of the trial."""

    sent: list[RawLog]
    received: list[ReceiptWatch]
    most: int
    copies: int
    """Receipts that each message should have: 1, or the number of consumers with fan-out."""
    written_off: int = 0
    """Messages that a later one of their producer has overtaken, and that have not arrived so far."""
    probes: int = 0
    """Number of windows that were sent as probes although the backlog was full, because nothing moved."""
    probing: bool = False
    """Whether the last wait ended so that a probe can be sent: send one window, then wait again."""
    noted: int = -1
    """The progress of the consumers at the last look."""
    pause_s: float = STALL_SLEEP_S
    """How long the next wait sleeps before its first look."""
    first_still_ns: int = STILL_NS
    """How long nothing may move before the first look, after something has moved."""
    still_ns: int = 0
    """How long nothing may move before the next look. It doubles with every probe that does not arrive."""

    def __post_init__(self) -> None:
        self.still_ns = self.still_ns or self.first_still_ns

    def size(self) -> int:
        """Return an upper bound of the messages that were sent and neither received nor written off.

        The progress that consumers note is cheap to read but lags behind. Where it stands still, their logs
        are read, which takes some system calls; in a ``queue``, each of these hands over the interpreter
        lock.
        """
        received = sum(log.progress[0] for log in self.received)
        if received == self.noted:
            received = sum(log.count() for log in self.received)
        else:
            self.noted = received
        size = sum(log.progress[0] for log in self.sent) - self.written_off - received // self.copies
        if size < 0:
            # Messages that were written off have arrived after all.
            self.written_off += size
        return max(size, 0)

    def wait(self, end_ns: int) -> int:
        """Wait until there is room for many messages, or until ``end_ns``; return the nanoseconds it took.

        Each look takes processor time, and in a ``queue`` the interpreter lock, from the consumers that make
        the room. So the wait lasts until a quarter of the bound is free, its first look comes when the last
        wait would have been nearly over, and the pauses after that double.
        """
        probed, self.probing = self.probing, False
        if (size := self.size()) < self.most:
            return 0
        began_ns = moved_ns = now_ns()
        pause_s = self.pause_s
        while size > self.most * 3 // 4 and (at_ns := now_ns()) < end_ns:
            if at_ns - moved_ns > self.still_ns:
                if not (overtaken := self._overtaken(size)):
                    self._probe(again=probed)
                    break
                self.written_off += overtaken
                moved_ns = at_ns
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_STALL_SLEEP_S)
            before, size = size, self.size()
            if size < before:
                moved_ns, probed, self.still_ns = now_ns(), False, self.first_still_ns
        took_ns = now_ns() - began_ns
        self.pause_s = min(max(took_ns * 0.75e-9, STALL_SLEEP_S), LONGEST_STALL_SLEEP_S)
        return took_ns

    def _probe(self, *, again: bool) -> None:
        """Let one more window be sent as a probe; double the time to the next if the last has not arrived."""
        self.probes += 1
        self.probing = True
        if again:
            self.still_ns *= 2

    def _overtaken(self, size: int) -> int:
        """Return how many of ``size`` messages in flight were overtaken by a later one of the same producer.

        With fan-out each consumer is counted by itself; otherwise all consumers together count as one
        receiver.
        """
        behind = 0
        sent = [log.progress[0] for log in self.sent]
        newest = [log.newest(sent, LOOKED_AT) for log in self.received]
        groups = newest if self.copies > 1 else [[max(of_one) for of_one in zip(*newest, strict=True)]]
        for group in groups:
            behind += sum(max(count - 1 - last, 0) for count, last in zip(sent, group, strict=True))
        return max(size - behind // self.copies, 0)
