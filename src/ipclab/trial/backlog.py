"""The bound on the messages that are under way at once, as each producer of a stream keeps it.

A slow message and a lost one look alike to a clock, so no clock decides which it is. A message counts as
lost only once a later message of the same producer was received. Where nothing moves, the producer sends one
window more, and waits again: where that arrives, what was sent before it was lost; where it does not, the
channel is slow, and the bound stays in force.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ipclab.host.clock import now_ns
from ipclab.trial.rawlog import RawLog, ReceiptWatch

STALL_SLEEP_S = 0.0001
LONGEST_STALL_SLEEP_S = 0.001
STILL_NS = 100_000_000
"""A backlog that has not shrunk for this long is looked at: was something overtaken, or is a probe due?"""
LOOKED_AT = 4096
"""Of the newest receipts of each consumer, to tell who was overtaken."""


@dataclass(slots=True)
class Backlog:
    """How many messages are under way, read off the progress of all logs of the trial."""

    sent: list[RawLog]
    received: list[ReceiptWatch]
    most: int
    copies: int
    """How many receipts a message is owed: 1, or the number of consumers with fan-out."""
    written_off: int = 0
    """Messages that a later one of their producer has overtaken, and that have not come so far."""
    probes: int = 0
    """How often one window more was sent although the backlog was full, since nothing moved."""
    probing: bool = False
    """Whether the wait that has just ended did so for the sake of a probe: send one window and wait again."""
    noted: int = -1
    """What the consumers had noted of their progress at the last look."""
    pause_s: float = STALL_SLEEP_S
    """How long the next wait sleeps before its first look."""
    still_ns: int = STILL_NS
    """How long nothing may move until the next look. It doubles with every probe that does not arrive."""

    def size(self) -> int:
        """Return how many messages were sent and neither received nor written off; somewhat too many, maybe.

        What consumers note is cheap to read but lags behind, so where it stands still, their logs are looked
        at. That takes some system calls, and in a ``queue`` each hands the interpreter to and fro.
        """
        received = sum(log.progress[0] for log in self.received)
        if received == self.noted:
            received = sum(log.count() for log in self.received)
        else:
            self.noted = received
        size = sum(log.progress[0] for log in self.sent) - self.written_off - received // self.copies
        if size < 0:
            # What was written off has come after all.
            self.written_off += size
        return max(size, 0)

    def wait(self, end_ns: int) -> int:
        """Return once there is room for a good many, or at ``end_ns``; the nanoseconds that it took.

        Looking takes the processor, and in a ``queue`` the interpreter, from those who make the room. So the
        wait that has begun lasts until a quarter is free, its first look comes when the last wait would have
        been nearly over, and the pauses after that double.
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
                moved_ns, probed, self.still_ns = now_ns(), False, STILL_NS
        took_ns = now_ns() - began_ns
        self.pause_s = min(max(took_ns * 0.75e-9, STALL_SLEEP_S), LONGEST_STALL_SLEEP_S)
        return took_ns

    def _probe(self, *, again: bool) -> None:
        """Have one window more sent. Where the one before has not arrived, the next comes later still."""
        self.probes += 1
        self.probing = True
        if again:
            self.still_ns *= 2

    def _overtaken(self, size: int) -> int:
        """Return how many of ``size`` messages under way a later one of the same producer has overtaken.

        With fan-out that is told for each consumer, else the consumers together are one receiver.
        """
        behind = 0
        sent = [log.progress[0] for log in self.sent]
        newest = [log.newest(sent, LOOKED_AT) for log in self.received]
        groups = newest if self.copies > 1 else [[max(of_one) for of_one in zip(*newest, strict=True)]]
        for group in groups:
            behind += sum(max(count - 1 - last, 0) for count, last in zip(sent, group, strict=True))
        return max(size - behind // self.copies, 0)
