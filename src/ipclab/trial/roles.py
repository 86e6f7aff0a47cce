"""The hot loops: what a worker does between the starting signal and its last message.

These loops contain the backend, a reading of the clock, and a store of it, and nothing else. Everything else
happens once per *block* of messages, and a block lasts a few milliseconds at most: reading the backlog and
checking the time. The next bodies are stamped when the last ones are used up, many at a time.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count, islice, repeat

from ipclab.backends.base import Consumer, CounterClient, Producer
from ipclab.host.clock import now_ns
from ipclab.trial.backlog import Backlog
from ipclab.trial.message import HEADER_BYTES, NO_HEADER, Stamper, is_stop, tails_by_first_byte
from ipclab.trial.pacing import Waiter, wait_until
from ipclab.trial.rawlog import RECEIPT_BYTES, START_BYTES, RawLog, receipt_packer

BLOCK_NS = 4_000_000
LARGEST_BLOCK = 1024
STAMPED = 500
STAMPED_PACED = 256
"""Bodies are stamped ahead, at most this many at a time; fewer where a pause would show."""
LARGE_TAIL_BYTES = 2048
"""Above this size, building one body at a time is cheaper than copying many at once."""
SMALL_TAIL_BYTES = 4096
"""Up to this size, comparing a copy of a body's tail is cheaper than comparing it in its place."""
BLOCKS_IN_BACKLOG = 4
NOTED_EVERY = 64
"""Receipts between two notes of the progress, where they come one at a time."""


def saturate(
    producer: Producer,
    index: int,
    body_tail: bytes,
    sends: RawLog,
    backlog: Backlog,
    *,
    trial: int = 0,
    window: int,
    end_ns: int,
) -> tuple[int, int]:
    """Send as fast as possible until ``end_ns`` or until the log is full.

    The clock is read before each message in any case, so a slow ``send()`` is not called again after the end.
    Return the number of messages sent, all of them confirmed, and the nanoseconds spent waiting for room in
    the backlog.
    """
    assert sends.stamps is not None
    starts, progress, clock = sends.stamps, sends.progress, now_ns
    send, flush = producer.sender(), producer.flush
    bodies = _bodies(index, body_tail, STAMPED, trial)
    most = max(window, min(LARGEST_BLOCK, backlog.most // BLOCKS_IN_BACKLOG))
    block, sent, stalled_ns = window, 0, 0
    while (began_ns := clock()) < end_ns and sent + block <= len(starts):
        run = window if window > 1 else block
        for first in range(sent, sent + block, run):
            for i, body in enumerate(islice(bodies, run), first):
                if (at_ns := clock()) >= end_ns:
                    break
                starts[i] = at_ns
                send(body)
            else:
                i += 1
            sent = i
            if window > 1:
                flush()
            if sent < first + run:
                break
        progress[0] = sent
        took_ns = clock() - began_ns
        if took_ns < BLOCK_NS // 2:
            block = min(block * 2, most // window * window)
        elif took_ns > BLOCK_NS * 2:
            block = max(block // 2 // window, 1) * window
        stalled_ns += backlog.wait(end_ns)
        if backlog.probing:
            block = window
    return sent, stalled_ns


def pace(
    producer: Producer,
    index: int,
    body_tail: bytes,
    sends: RawLog,
    returns: RawLog,
    due_ns: list[int],
    *,
    trial: int = 0,
    start_ns: int,
    end_ns: int,
    wait: Waiter = wait_until,
) -> int:
    """Send each message when it is due (``due_ns`` after ``start_ns``), or as soon after that as possible.

    ``wait`` waits for the moments. Return the number sent; messages still unsent at ``end_ns`` are skipped.
    """
    assert sends.stamps is not None
    assert returns.stamps is not None
    starts, ends, progress = sends.stamps, returns.stamps, sends.progress
    send = producer.sender()
    for i, body in enumerate(islice(_bodies(index, body_tail, STAMPED_PACED, trial), len(due_ns))):
        wait(start_ns + due_ns[i])
        began_ns = now_ns()
        if began_ns >= end_ns:
            return i
        starts[i] = began_ns
        send(body)
        ends[i] = now_ns()
        progress[0] = i + 1
    return len(due_ns)


def pace_batches(
    producer: Producer,
    index: int,
    body_tail: bytes,
    sends: RawLog,
    returns: RawLog,
    due_ns: list[int],
    *,
    trial: int = 0,
    window: int,
    start_ns: int,
    end_ns: int,
    wait: Waiter = wait_until,
) -> int:
    """Do what ``pace()`` does with a window above 1: flush whenever the window is full, and at the end.

    A message is confirmed when the flush of its window returns. The time that it waits there for the others
    is a part of its latency.
    """
    assert sends.stamps is not None
    assert returns.stamps is not None
    starts, ends, progress = sends.stamps, returns.stamps, sends.progress
    send, flush = producer.sender(), producer.flush
    first, sent = 0, 0
    for i, body in enumerate(islice(_bodies(index, body_tail, STAMPED_PACED, trial), len(due_ns))):
        wait(start_ns + due_ns[i])
        began_ns = now_ns()
        if began_ns >= end_ns:
            break
        starts[i] = began_ns
        send(body)
        progress[0] = sent = i + 1
        if sent - first == window:
            flush()
            ends[first:sent] = array("q", (now_ns(),)) * window
            first = sent
    if sent > first:
        flush()
        ends[first:sent] = array("q", (now_ns(),)) * (sent - first)
    return sent


def _bodies(index: int, body_tail: bytes, most: int, trial: int) -> Iterator[bytes]:
    """Yield all bodies of a producer, without end, at most ``most`` of them stamped ahead.

    A large body is built when it is asked for: it is then in the processor's cache when it is sent, and the
    memory of the one before can be used again.
    """
    large = len(body_tail) > LARGE_TAIL_BYTES
    stamper = Stamper(index, body_tail, most, trial, headers_only=large)
    stamped = chain.from_iterable(stamper.stamp(first, most) for first in count(0, most))
    return map(operator.add, stamped, repeat(body_tail)) if large else stamped


def consume(consumer: Consumer, tails: list[bytes], receipts: RawLog) -> None:
    """Receive, log and acknowledge until the stop message comes.

    A body of another length is logged as ``NO_HEADER``, and so is one whose tail is not its producer's own,
    unless the log has room for the tails too: then they are compared after the trial.
    """
    receive_one, ack = consumer.receiver(), consumer.ack if consumer.acknowledges else None
    keeps_tails = receipts.record_bytes > RECEIPT_BYTES
    # Without a tail, a comparison of tails would say nothing about the length.
    if receive_one and (keeps_tails or (len(tails) == 1 and 0 < len(tails[0]) <= SMALL_TAIL_BYTES)):
        _consume_singly(receive_one, ack, None if keeps_tails else tails[0], len(tails[0]), receipts)
    else:
        _consume_any(consumer.receive, ack, tails, keeps_tails, receipts)


def _consume_singly(
    receive_one: Callable[[], bytes],
    ack: Callable[[], None] | None,
    own_tail: bytes | None,
    tail_bytes: int,
    receipts: RawLog,
) -> None:
    """Run the loop for a client that returns one body at a time. Without ``own_tail``, compare only lengths.

    It calls ``receive_one`` directly: within an iterator, a Python function would cost an interpreter loop of
    its own.
    """
    log, progress, clock = receipts.map, receipts.progress, now_ns
    pack, record_bytes = receipt_packer(receipts.record_bytes), receipts.record_bytes
    size_bytes = HEADER_BYTES + tail_bytes
    keeps_tails = own_tail is None
    block_bytes = NOTED_EVERY * record_bytes
    begin, going = START_BYTES, True
    while going:
        for at in range(begin, begin + block_bytes, record_bytes):
            body = receive_one()
            if len(body) == size_bytes if keeps_tails else body[HEADER_BYTES:] == own_tail:
                pack(log, at, clock(), body)
            elif not is_stop(body):
                pack(log, at, clock(), NO_HEADER)
            else:
                begin, going = at, False
                break
            if ack is not None:
                ack()
        else:
            begin += block_bytes
        progress[0] = (begin - START_BYTES) // record_bytes
    if ack is not None:
        ack()


def _consume_any(
    receive: Callable[[], Sequence[bytes]],
    ack: Callable[[], None] | None,
    tails: list[bytes],
    keeps_tails: bool,
    receipts: RawLog,
) -> None:
    """Run the loop for all other clients. Bodies that were returned together share one receipt time."""
    log, progress, clock = receipts.map, receipts.progress, now_ns
    pack, record_bytes = receipt_packer(receipts.record_bytes), receipts.record_bytes
    size_bytes = len(tails[0]) + HEADER_BYTES
    by_first_byte = tails_by_first_byte(tails)
    at = START_BYTES
    going = True
    while going:
        bodies = receive()
        received_ns = clock()
        for body in bodies:
            if len(body) == size_bytes and (keeps_tails or body.endswith(by_first_byte[body[4]])):
                pack(log, at, received_ns, body)
            elif is_stop(body):
                going = False
                continue
            else:
                pack(log, at, received_ns, NO_HEADER)
            at += record_bytes
        if ack is not None:
            ack()
        progress[0] = (at - START_BYTES) // record_bytes


def ping(
    producer: Producer,
    consumer: Consumer,
    body_tail: bytes,
    sends: RawLog,
    returns: RawLog,
    *,
    trial: int = 0,
    end_ns: int,
) -> int:
    """Send one message, wait for its echo, and repeat until ``end_ns``. Return the number of round trips.

    Raise ValueError where an echo is not the message that was sent.
    """
    assert sends.stamps is not None
    assert returns.stamps is not None
    starts, ends, progress = sends.stamps, returns.stamps, sends.progress
    send, receive, ack = producer.sender(), consumer.receive, consumer.ack
    acknowledges = consumer.acknowledges
    i = 0
    for body in islice(_bodies(0, body_tail, STAMPED_PACED, trial), len(starts)):
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
    """Send back every message until the stop message arrives."""
    send, receive, ack = producer.sender(), consumer.receive, consumer.ack
    acknowledges = consumer.acknowledges
    while True:
        bodies = receive()
        for body in bodies:
            if is_stop(body):
                return
            send(body)
        if acknowledges:
            ack()


def add(client: CounterClient, sends: RawLog, *, end_ns: int) -> int:
    """Increment as fast as possible until ``end_ns``. Return the number of confirmed increments.

    Log the clock before each, which is also when the one before it was over.
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
