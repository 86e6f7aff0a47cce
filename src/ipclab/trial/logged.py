"""The workers of a crash or order trial: they send and receive as a program would, and log each operation.

They do not measure: each operation writes two lines into a file that survives the worker. They use the same
``sender()`` and ``receiver()`` as the hot loops, so that the tested code is the measured code. A consumer is
done with a message when it acknowledges it. Where the channel has no acknowledgement and yet declares
at-least-once, the moment before the next ``receive()`` counts as one. A worker whose backend raises logs the
operation as indefinite, reconnects and continues with the next one; it never repeats an operation, so every
duplicate is the backend's own. It gives up, with the error, where it cannot connect within its patience, or
where every operation over new connections fails.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Generic, TypeVar

from ipclab.backends import checked
from ipclab.backends.base import Consumer, Producer
from ipclab.errors import ContractError
from ipclab.exit_codes import BY_SIGNAL
from ipclab.history.log import ProcessLog
from ipclab.host.link import Link
from ipclab.host.stacks import Mark
from ipclab.trial.assignment import Assignment, OfChannel, history_path
from ipclab.trial.gate import Gate
from ipclab.trial.message import HEADER_BYTES, STOP, stamp, tail
from ipclab.trial.orders import Burst, Done, Quit, Ready, Stop
from ipclab.trial.work import handler_of

SEQUENCES = 1_000_000
"""A message's value in the history is its producer's number times this, plus its sequence."""
AGAIN_S = 0.05
MOST_ERRORS = 20
"""Errors in a row, each after a new connection, after which a worker gives up."""
CORRUPTED = {"corrupted": True}

_End = TypeVar("_End", Producer, Consumer)


class _ReconnectingEnd(Generic[_End]):
    """One end of a channel, which reconnects after an error."""

    def __init__(self, connect: Callable[[], _End], patience_s: float) -> None:
        self._connect: Callable[[], _End] = connect
        self._patience_s = patience_s
        self._errors = 0
        self.end: _End = connect()

    def works(self) -> None:
        """Reset the count of errors, after an operation that worked."""
        self._errors = 0

    def reconnect(self, error: Exception) -> None:
        """Reconnect after ``error``. Raise it, or that of the last attempt, where no attempt succeeds."""
        self._errors += 1
        # A new connection does not repair a backend that breaks the contract.
        if self._errors >= MOST_ERRORS or isinstance(error, ContractError):
            raise error
        # Dropped, not closed: close() might flush, and so repeat, what is left in its buffers.
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


RECONNECTING = Mark.of(_ReconnectingEnd.reconnect)
"""The function in which a worker pauses before it reconnects."""


@contextlib.contextmanager
def _close_on_sigterm(line: _ReconnectingEnd[Any]) -> Iterator[None]:
    """Let SIGTERM, within the block, end the worker as it ends a program that closes what it has open.

    The handler raises SystemExit wherever the worker is, so that ``with`` and ``finally`` do their work, and
    its end of the channel is closed. Operations in progress stay open in the history.
    its end of the channel is closed. What was under way stays open in the history.
    """

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(BY_SIGNAL + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except SystemExit:
        with contextlib.suppress(Exception):
            line.end.close()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCast(OfChannel):
    """The part of a logged worker.

    ``place`` is its place among the channel's producers or consumers; ``patience_s`` the seconds for which it
    tries to reconnect.
    """

    place: int
    patience_s: float


def _produce(mine: Assignment[OfCast], parent: Link) -> None:
    channel, place = mine.part.channel, mine.part.place
    channel.keep_end("producer")
    line = _ReconnectingEnd[Producer](lambda: checked.producer(channel, place), mine.part.patience_s)
    send, flush = line.end.sender(), line.end.flush
    sequences = count()
    with ProcessLog(history_path(mine.logs, mine.name), mine.name) as log, _close_on_sigterm(line):
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
                    line.reconnect(error)
                    send, flush = line.end.sender(), line.end.flush
                else:
                    log.ok()
                    line.works()
                    confirmed += 1
                time.sleep(order.gap_s)
            parent.send(Done(count=confirmed))
    line.end.close()


def _send_stops_to(order: Stop, producer: Producer) -> None:
    """Send stop messages; ignore errors, because nobody needs a stop message where the consumers are gone."""
    with contextlib.suppress(Exception):
        for _ in range(order.count):
            producer.send(STOP)
        producer.flush()


def _consume(mine: Assignment[OfCast], parent: Link) -> None:
    channel, place = mine.part.channel, mine.part.place
    channel.keep_end("consumer")
    line = _ReconnectingEnd[Consumer](lambda: checked.consumer(channel, place), mine.part.patience_s)
    # A consumer that works notes when a message is done, also where its channel needs no acknowledgement.
    owes = channel.guarantees.delivery == "at-least-once" or bool(mine.spec.work)
    handle = handler_of(mine.spec, mine.index) if mine.spec.work else None
    gate = Gate(parent)
    receive = _receive_any(line.end)
    going, unsettled = True, False
    with ProcessLog(history_path(mine.logs, mine.name), mine.name) as log, _close_on_sigterm(line):
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
                line.reconnect(error)
                receive = _receive_any(line.end)
                continue
            line.works()
            going = STOP not in bodies
            own = [body for body in bodies if body != STOP]
            _log_receipts(log, own)
            unsettled = unsettled or bool(own)
            if own and not gate.lets_through() and going:
                continue
            if handle is not None:
                for _ in own:
                    handle()
            if refused := _acknowledge(log, line.end, unsettled=unsettled, owes=owes):
                del receive
                line.reconnect(refused)
                receive = _receive_any(line.end)
            unsettled = False
    parent.send(Done(count=0))
    line.end.close()


def _receive_any(consumer: Consumer) -> Callable[[], Sequence[bytes]]:
    """Return a function that receives messages of this consumer, the same one that streams measure."""
    receive_one = consumer.receiver()
    if receive_one is None:
        return consumer.receive
    return lambda: (receive_one(),)


def _acknowledge(log: ProcessLog, end: Consumer, *, unsettled: bool, owes: bool) -> Exception | None:
    """Acknowledge all that was received, and log it where it is a message. Return the error of the call.

    ``owes`` says whether the channel declares at-least-once, or the consumer works.
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
    """Log that messages received over a lost connection will never be acknowledged."""
    log.invoke("ack")
    log.fail()


def _log_receipts(log: ProcessLog, bodies: list[bytes]) -> None:
    """Log receipts. The first completes the operation in progress; if only stops came, none happened."""
    if not bodies:
        log.fail()
    for i, body in enumerate(bodies):
        if i:
            log.invoke("receive")
        log.ok(value(body))


_HEADER = struct.Struct("<IHHQ")


def value(body: bytes) -> Any:
    """Return the value of a received body in the history, or a mark that it is corrupted."""
    if len(body) < HEADER_BYTES:
        return CORRUPTED
    crc, producer, kind, sequence = _HEADER.unpack_from(body)
    own = zlib.crc32(body[4:HEADER_BYTES], zlib.crc32(body[HEADER_BYTES:]))
    return CORRUPTED if crc != own or kind else producer * SEQUENCES + sequence


def _send_stops(mine: Assignment[OfCast], parent: Link) -> None:
    """Send stop messages once: after a clean close all is handed over, and a closed queue takes no more."""
    parent.send(Ready())
    order = parent.recv()
    assert isinstance(order, Stop)
    producer = checked.producer(mine.part.channel, mine.part.place)
    for _ in range(order.count):
        producer.send(STOP)
    producer.flush()
    producer.close()
    parent.send(Done(count=order.count))


ROLES: dict[str, Callable[[Assignment[OfCast], Link], None]] = {
    "producer": _produce,
    "consumer": _consume,
    "stopper": _send_stops,
}
