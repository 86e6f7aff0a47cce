"""The hot loops: what a worker does between the starting signal and its last message.

Within these loops there is nothing but the backend, a reading of the clock, and a store of what was read. All
else happens once a *block* of messages, and a block lasts about a millisecond: stamping the next bodies, the
look at the backlog, the look at the time.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ipclab.backends.base import Consumer, CounterClient, Producer
from ipclab.trial.clock import now_ns
from ipclab.trial.message import STOP, stamp, tails_by_first_byte
from ipclab.trial.pacing import wait_until
from ipclab.trial.rawlog import PROGRESS_BYTES, RECEIPT_BYTES, RawLog, pack_receipt

BLOCK_NS = 1_000_000
LARGEST_BLOCK = 1024
LARGEST_BLOCK_BYTES = 1 << 20
BLOCKS_IN_BACKLOG = 4
STALL_SLEEP_S = 0.0001
GIVE_UP_NS = 100_000_000
"""A backlog that does not shrink for this long will not: its messages were lost, so sending goes on."""


@dataclass(slots=True)
class Backlog:
    """How many messages are under way, read off the progress of all logs of the trial."""

    sent: list[RawLog]
    received: list[RawLog]
    most: int
    copies: int
    """How many receipts a message is owed: 1, or the number of consumers with fan-out."""
    written_off: int = 0

    def size(self) -> int:
        """Messages that were sent and are neither received nor written off."""
        received = sum(log.progress[0] for log in self.received) // self.copies
        return sum(log.progress[0] for log in self.sent) - received - self.written_off

    def wait(self) -> int:
        """Return once there is room; the nanoseconds that it took."""
        if (size := self.size()) < self.most:
            return 0
        began_ns = moved_ns = now_ns()
        while size >= self.most:
            time.sleep(STALL_SLEEP_S)
            smaller = self.size()
            if smaller != size:
                size, moved_ns = smaller, now_ns()
            elif now_ns() - moved_ns > GIVE_UP_NS:
                self.written_off += size
                size = 0
        return now_ns() - began_ns


def saturate(
    producer: Producer,
    index: int,
    body_tail: bytes,
    sends: RawLog,
    backlog: Backlog,
    *,
    window: int,
    end_ns: int,
) -> tuple[int, int]:
    """Send as fast as it goes until ``end_ns`` or until the log is full.

    Returns how many messages were sent, all of them confirmed, and how many nanoseconds were spent waiting
    for room in the backlog.
    """
    assert sends.stamps is not None
    starts, progress = sends.stamps, sends.progress
    send, flush = producer.send, producer.flush
    unpack = struct.Struct(f"{len(body_tail) + 16}s").iter_unpack
    by_memory = LARGEST_BLOCK_BYTES // (len(body_tail) + 16)
    most = max(window, min(LARGEST_BLOCK, by_memory, backlog.most // BLOCKS_IN_BACKLOG))
    block, i, stalled_ns = window, 0, 0
    while (began_ns := now_ns()) < end_ns and i + block <= len(starts):
        bodies = unpack(stamp(index, i, block, body_tail))
        if window == 1:
            for (body,) in bodies:
                starts[i] = now_ns()
                send(body)
                i += 1
        else:
            for _ in range(block // window):
                for (body,) in islice(bodies, window):
                    starts[i] = now_ns()
                    send(body)
                    i += 1
                flush()
        progress[0] = i
        took_ns = now_ns() - began_ns
        if took_ns < BLOCK_NS // 2:
            block = min(block * 2, most // window * window)
        elif took_ns > BLOCK_NS * 2:
            block = max(block // 2 // window, 1) * window
        stalled_ns += backlog.wait()
    return i, stalled_ns


def pace(
    producer: Producer,
    index: int,
    body_tail: bytes,
    sends: RawLog,
    returns: RawLog,
    due_ns: list[int],
    *,
    start_ns: int,
    end_ns: int,
) -> int:
    """Send each message when it is due (``due_ns`` after ``start_ns``), or as soon after that as can be.

    Returns how many were sent; those that were still unsent at ``end_ns`` are skipped.
    """
    assert sends.stamps is not None
    assert returns.stamps is not None
    starts, ends, progress = sends.stamps, returns.stamps, sends.progress
    send = producer.send
    for i, body in enumerate(_bodies(index, len(due_ns), body_tail)):
        wait_until(start_ns + due_ns[i])
        began_ns = now_ns()
        if began_ns >= end_ns:
            return i
        starts[i] = began_ns
        send(body)
        ends[i] = now_ns()
        progress[0] = i + 1
    return len(due_ns)


def _bodies(index: int, count: int, body_tail: bytes) -> Iterator[bytes]:
    block = max(1, min(256, LARGEST_BLOCK_BYTES // (len(body_tail) + 16)))
    unpack = struct.Struct(f"{len(body_tail) + 16}s").iter_unpack
    for first in range(0, count, block):
        for (body,) in unpack(stamp(index, first, min(block, count - first), body_tail)):
            yield body


def consume(consumer: Consumer, tails: list[bytes], receipts: RawLog) -> None:
    """Receive, log and acknowledge until the stop message comes.

    A body whose tail is not its producer's own is logged with the length 0.
    """
    log, progress = receipts.map, receipts.progress
    receive, ack = consumer.receive, consumer.ack
    acknowledges = consumer.acknowledges
    by_first_byte = tails_by_first_byte(tails)
    at, count = PROGRESS_BYTES, 0
    going = True
    while going:
        bodies = receive()
        for body in bodies:
            pack_receipt(log, at, now_ns(), body, len(body))
            try:
                intact = body.endswith(by_first_byte[body[4]])
            except IndexError:
                intact = False
            if not intact:
                if body == STOP:
                    log[at : at + RECEIPT_BYTES] = bytes(RECEIPT_BYTES)
                    going = False
                    continue
                pack_receipt(log, at, now_ns(), body, 0)
            at += RECEIPT_BYTES
            count += 1
        if acknowledges:
            ack()
        progress[0] = count


def ping(
    producer: Producer,
    consumer: Consumer,
    body_tail: bytes,
    sends: RawLog,
    returns: RawLog,
    *,
    end_ns: int,
) -> int:
    """Send one message, wait for its echo, and so on until ``end_ns``. Returns the number of round trips.

    Raises ValueError where an echo is not the message that was sent.
    """
    assert sends.stamps is not None
    assert returns.stamps is not None
    starts, ends, progress = sends.stamps, returns.stamps, sends.progress
    send, receive, ack = producer.send, consumer.receive, consumer.ack
    acknowledges = consumer.acknowledges
    i = 0
    for body in _bodies(0, len(starts), body_tail):
        starts[i] = now_ns()
        send(body)
        (echo,) = receive()
        if acknowledges:
            ack()
        ends[i] = back_ns = now_ns()
        if echo != body:
            raise ValueError(f"round trip {i} brought back another message than was sent")
        i += 1
        progress[0] = i
        if back_ns >= end_ns:
            break
    return i


def echo(consumer: Consumer, producer: Producer) -> None:
    """Send back whatever comes until the stop message does."""
    send, receive, ack = producer.send, consumer.receive, consumer.ack
    acknowledges = consumer.acknowledges
    while True:
        bodies = receive()
        for body in bodies:
            if body == STOP:
                return
            send(body)
        if acknowledges:
            ack()


def add(client: CounterClient, sends: RawLog, *, end_ns: int) -> int:
    """Increment as fast as it goes until ``end_ns``. Returns how many increments were confirmed.

    Logs the clock before each, which is also when the one before it was over.
    """
    assert sends.stamps is not None
    stamps, increment = sends.stamps, client.increment
    i = 0
    while i < len(stamps) and (began_ns := now_ns()) < end_ns:
        stamps[i] = began_ns
        increment()
        i += 1
    sends.progress[0] = i
    return i
