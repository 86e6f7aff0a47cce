"""What the workers of a crash or order trial do: send and receive as a program would, and log each operation.

Not for measuring: each operation writes two lines into a file that survives the worker. They use the same
``sender()`` and ``receiver()`` as the loops that measure, so that what is tested is what is measured. A
consumer is done with a message when it acknowledges it; where the channel has no acknowledgement and yet
declares at-least-once, the moment before it asks for the next message counts as one. A worker whose
backend raises logs the operation as indefinite, connects again and goes on with the next one; it never
repeats one, so every duplicate is the backend's own. It gives up, with the error, where it cannot connect
within its patience, or where nothing works any more over new connections.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any, Generic, TypeVar

from ipclab.backends import checked
from ipclab.backends.base import Consumer, Producer
from ipclab.errors import ContractError
from ipclab.history.log import ProcessLog
from ipclab.host.link import Link
from ipclab.host.stacks import Mark
from ipclab.trial.assignment import Assignment, history_path
from ipclab.trial.gate import Gate
from ipclab.trial.message import HEADER_BYTES, STOP, stamp, tail
from ipclab.trial.orders import Burst, Done, Quit, Ready, Stop

SEQUENCES = 1_000_000
"""A message's value in the history is its producer's number times this, plus its sequence."""
AGAIN_S = 0.05
MOST_ERRORS = 20
"""Errors in a row, over as many new connections, after which a worker gives up."""
CORRUPTED = {"corrupted": True}

_End = TypeVar("_End", Producer, Consumer)


class _Line(Generic[_End]):
    """One end of a channel, connected again after an error."""

    def __init__(self, connect: Callable[[], _End], patience_s: float) -> None:
        self._connect: Callable[[], _End] = connect
        self._patience_s = patience_s
        self._errors = 0
        self.end: _End = connect()

    def works(self) -> None:
        """Something came through."""
        self._errors = 0

    def again(self, error: Exception) -> None:
        """Connect again after ``error``. Raises it, or that of the last attempt, where it is in vain."""
        self._errors += 1
        # To connect again mends no backend that breaks the contract.
        if self._errors >= MOST_ERRORS or isinstance(error, ContractError):
            raise error
        # Dropped, not closed: to close might flush, and so repeat, what is left in its buffers.
        del self.end
        gc.collect()
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                self.end = self._connect()
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_S)
            else:
                return


RECONNECTING = Mark.of(_Line.again)
"""Where a worker stands that pauses before it connects again."""


@contextlib.contextmanager
def _ends_in_order(line: _Line[Any]) -> Iterator[None]:
    """Within it, SIGTERM ends the worker as it ends a program that closes what it has open.

    The handler raises SystemExit wherever the worker is, so that ``with`` and ``finally`` do their work, and
    its end of the channel is closed. What was under way stays open in the history.
    """

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except SystemExit:
        with contextlib.suppress(Exception):
            line.end.close()
        raise


def _produce(mine: Assignment, parent: Link) -> None:
    channel = mine.channel
    assert channel is not None
    place = mine.index if mine.place is None else mine.place
    channel.keep_end("producer")
    line = _Line[Producer](lambda: checked.producer(channel, place), mine.patience_s)
    send, flush = line.end.sender(), line.end.flush
    sequences = count()
    with ProcessLog(history_path(mine.logs, mine.name), mine.name) as log, _ends_in_order(line):
        parent.send(Ready())
        while not isinstance(order := parent.recv(), Quit):
            if isinstance(order, Stop):
                _send_stops_to(order, line.end)
                continue
            assert isinstance(order, Burst)
            body_tail = tail(mine.content, mine.index, order.size_bytes)
            confirmed = 0
            for sequence in islice(sequences, order.count):
                body = stamp(mine.index, sequence, 1, body_tail)
                log.invoke("send", mine.index * SEQUENCES + sequence)
                try:
                    send(body)
                    flush()
                except Exception as error:  # noqa: BLE001 - whatever the client raises is a result
                    log.info()
                    # They belong to the end that is dropped.
                    del send, flush
                    line.again(error)
                    send, flush = line.end.sender(), line.end.flush
                else:
                    log.ok()
                    line.works()
                    confirmed += 1
                time.sleep(order.gap_s)
            parent.send(Done(count=confirmed))
    line.end.close()


def _send_stops_to(order: Stop, producer: Producer) -> None:
    """Send stop messages; where the consumers are gone nobody needs one."""
    with contextlib.suppress(Exception):
        for _ in range(order.count):
            producer.send(STOP)
        producer.flush()


def _consume(mine: Assignment, parent: Link) -> None:
    channel = mine.channel
    assert channel is not None
    place = mine.index if mine.place is None else mine.place
    channel.keep_end("consumer")
    line = _Line[Consumer](lambda: checked.consumer(channel, place), mine.patience_s)
    owes = channel.guarantees.delivery == "at-least-once"
    gate = Gate(parent)
    receive = _receive_any(line.end)
    going, unsettled = True, False
    with ProcessLog(history_path(mine.logs, mine.name), mine.name) as log, _ends_in_order(line):
        parent.send(Ready())
        while going:
            log.invoke("receive")
            try:
                bodies = receive()
            except Exception as error:  # noqa: BLE001 - whatever the client raises is a result
                log.info()
                if unsettled:
                    _log_given_up(log)
                    unsettled = False
                del receive
                line.again(error)
                receive = _receive_any(line.end)
                continue
            line.works()
            going = STOP not in bodies
            own = [body for body in bodies if body != STOP]
            _log_receipts(log, own)
            unsettled = unsettled or bool(own)
            if own and not gate.lets_through() and going:
                continue
            if refused := _acknowledge(log, line.end, unsettled=unsettled, owes=owes):
                del receive
                line.again(refused)
                receive = _receive_any(line.end)
            unsettled = False
    parent.send(Done(count=0))
    with contextlib.suppress(Exception):
        line.end.close()


def _receive_any(consumer: Consumer) -> Callable[[], Sequence[bytes]]:
    """Return what receives messages of this consumer, by the same function that is measured in streams."""
    receive_one = consumer.receiver()
    if receive_one is None:
        return consumer.receive
    return lambda: (receive_one(),)


def _acknowledge(log: ProcessLog, end: Consumer, *, unsettled: bool, owes: bool) -> Exception | None:
    """Acknowledge all that was received, and log it where it is a message. Return the error of the call.

    ``owes`` says that the channel declares at-least-once.
    """
    logged = unsettled and (end.acknowledges or owes)
    if logged:
        log.invoke("ack")
    if end.acknowledges:
        try:
            end.ack()
        except Exception as error:  # noqa: BLE001 - whatever the client raises is a result
            if logged:
                log.info()
            return error
    if logged:
        log.ok()
    return None


def _log_given_up(log: ProcessLog) -> None:
    """Log that what was received over a connection that is lost will never be acknowledged."""
    log.invoke("ack")
    log.fail()


def _log_receipts(log: ProcessLog, bodies: list[bytes]) -> None:
    """The first completes the operation that is under way; where nothing came but stops, none happened."""
    if not bodies:
        log.fail()
    for i, body in enumerate(bodies):
        if i:
            log.invoke("receive")
        log.ok(value(body))


_HEADER = struct.Struct("<IHHQ")


def value(body: bytes) -> Any:
    """Return what a received body is in the history: its value, or that it is corrupted."""
    if len(body) < HEADER_BYTES:
        return CORRUPTED
    crc, producer, kind, sequence = _HEADER.unpack_from(body)
    own = zlib.crc32(body[4:HEADER_BYTES], zlib.crc32(body[HEADER_BYTES:]))
    return CORRUPTED if crc != own or kind else producer * SEQUENCES + sequence


def _send_stops(mine: Assignment, parent: Link) -> None:
    """Once: what is closed in good order has been handed over, and a closed queue takes no more."""
    channel = mine.channel
    assert channel is not None
    place = mine.index if mine.place is None else mine.place
    parent.send(Ready())
    order = parent.recv()
    assert isinstance(order, Stop)
    producer = checked.producer(channel, place)
    for _ in range(order.count):
        producer.send(STOP)
    producer.flush()
    producer.close()
    parent.send(Done(count=order.count))


ROLES: dict[str, Callable[[Assignment, Link], None]] = {
    "producer": _produce,
    "consumer": _consume,
    "stopper": _send_stops,
}
