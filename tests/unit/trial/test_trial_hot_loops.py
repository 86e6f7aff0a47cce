"""The loop for clients that hand over one message at a time logs what the general loop logs.

Both compare tails on arrival, or keep them where the log has room for them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ipclab.backends.base import Consumer, Producer
from ipclab.host.clock import now_ns
from ipclab.trial import rawlog, roles
from ipclab.trial.backlog import STILL_NS, Backlog
from ipclab.trial.message import NO_HEADER, STOP, Stamper, stamp, tail
from ipclab.trial.rawlog import (
    RECEIPT_BYTES,
    RawLog,
    ReceiptWatch,
    receipt_bytes,
    receipt_packer,
)

SIZES = (16, 17, 64, 128, 129, 1024, 8192)


class Batches(Consumer):
    """Hands over what it was given, three at a time."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._left = [*bodies, STOP]

    def receive(self) -> Sequence[bytes]:
        batch, self._left = self._left[:3], self._left[3:]
        return batch


class Singles(Batches):
    """Hands them over one at a time."""

    def receiver(self) -> Callable[[], bytes]:
        return lambda: self._left.pop(0)


class Kept(Producer):
    """Keeps what is sent, and how many messages there were at each flush."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.flushes: list[int] = []

    def send(self, body: bytes) -> None:
        self.bodies.append(body)

    def flush(self) -> None:
        self.flushes.append(len(self.bodies))


def consumed(folder: Path, consumer: Consumer, size: int) -> list[bytes]:
    """What the loop logs of each body: the header, and the tail where it is kept."""
    path = folder / f"{type(consumer).__name__}.receipts"
    rawlog.create(path, receipt_bytes(size), 100)
    log = RawLog(path)
    before_ns = now_ns()
    roles.consume(consumer, [tail(1, 0, size)], log)
    after_ns = now_ns()
    count = log.progress[0]
    log.close()
    receipts = rawlog.read_receipts(path)
    assert len(receipts) == count
    assert all(before_ns <= time_ns <= after_ns for time_ns in receipts["time_ns"])
    logged = [header.tobytes() for header in receipts["header"]]
    if not kept(size):
        return logged
    return [header + body for header, body in zip(logged, map(bytes, receipts["tail"]), strict=True)]


def kept(size: int) -> int:
    """How many bytes of a tail the log has room for."""
    return receipt_bytes(size) - RECEIPT_BYTES


@pytest.mark.parametrize("kind", [Batches, Singles])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [0, 1, 2, 50, 63, 64, 65])
def test_every_message_is_logged_with_its_header(
    tmp_path: Path, kind: type[Batches], size: int, count: int
) -> None:
    bodies = Stamper(0, tail(1, 0, size), 100).stamp(7, count)
    assert consumed(tmp_path, kind(bodies), size) == [body[: 16 + kept(size)] for body in bodies]


def test_only_small_bodies_are_kept_and_those_whole() -> None:
    assert {size: kept(size) for size in SIZES} == {16: 0, 17: 1, 64: 48, 128: 112, 129: 0, 1024: 0, 8192: 0}


@pytest.mark.parametrize("kind", [Batches, Singles])
@pytest.mark.parametrize("size", SIZES)
def test_a_body_whose_length_or_tail_is_wrong_is_logged_without_its_header(
    tmp_path: Path, kind: type[Batches], size: int
) -> None:
    (good,) = Stamper(0, tail(1, 0, size), 1).stamp(3, 1)
    wrong = [b"", good[:3], good[:-1], good + b"\0", good[:16] + b"\0" + good[16:], good * 2]
    if size > 16 and not kept(size):
        wrong += [good[:-1] + bytes([good[-1] ^ 1]), good[:16] + bytes([good[16] ^ 128]) + good[17:]]
    logged = consumed(tmp_path, kind([good, *wrong, good]), size)
    assert logged[0] == logged[-1] == good[: 16 + kept(size)]
    assert logged[1:-1] == [NO_HEADER + bytes(kept(size))] * len(wrong)


@pytest.mark.parametrize("kind", [Batches, Singles])
def test_a_wrong_tail_is_kept_as_it_came(tmp_path: Path, kind: type[Batches]) -> None:
    (good,) = Stamper(0, tail(1, 0, 64), 1).stamp(3, 1)
    wrong = good[:-1] + bytes([good[-1] ^ 1])
    assert consumed(tmp_path, kind([good, wrong]), 64) == [good, wrong]


@pytest.mark.parametrize("kind", [Batches, Singles])
def test_more_receipts_than_the_log_has_room_for_are_an_error(tmp_path: Path, kind: type[Batches]) -> None:
    bodies = Stamper(0, tail(1, 0, 64), 101).stamp(0, 101)
    with pytest.raises(Exception, match="pack_into"):
        consumed(tmp_path, kind(bodies), 64)


@pytest.mark.parametrize(("window", "most"), [(1, 1000), (1, 3), (5, 1000), (100, 40)])
def test_the_producer_sends_every_sequence_once_and_flushes_every_window(
    tmp_path: Path, window: int, most: int
) -> None:
    rawlog.create(tmp_path / "sends", 8, 5000)
    sends, producer = RawLog(tmp_path / "sends"), Kept()
    backlog = Backlog(sent=[], received=[], most=most, copies=1)
    own_tail = tail(1, 2, 64)
    sent, _ = roles.saturate(
        producer, 2, own_tail, sends, backlog, window=window, end_ns=now_ns() + 10_000_000_000
    )
    assert sends.stamps is not None
    times_ns = sends.stamps[:sent].tolist()
    assert sent == len(producer.bodies) == sends.progress[0] > 3000
    assert producer.bodies == Stamper(2, own_tail, sent).stamp(0, sent)
    assert times_ns == sorted(times_ns)
    assert times_ns[0] > 0
    assert producer.flushes == ([] if window == 1 else list(range(window, sent + 1, window)))
    sends.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_watch_counts_receipts_while_they_are_written(tmp_path: Path, size: int) -> None:
    rawlog.create(tmp_path / "receipts", receipt_bytes(size), 300)
    pack = receipt_packer(receipt_bytes(size))
    log, watch = RawLog(tmp_path / "receipts"), ReceiptWatch(tmp_path / "receipts")
    counts = []
    for written in range(301):
        if written in (0, 1, 2, 3, 10, 11, 100, 299, 300):
            counts.append((written, watch.count()))
        if written < 300:
            pack(log.map, rawlog.START_BYTES + written * receipt_bytes(size), 1, bytes(size))
    assert all(written == count for written, count in counts)
    watch.close()
    log.close()


def backlog_of(folder: Path, *, sent: int, received: int, noted: int, newest: int = 0) -> Backlog:
    """One producer that has sent so many, one consumer that has logged and noted so many receipts, of which
    the last is of the message ``newest``."""
    rawlog.create(folder / "sends", 8, 10)
    rawlog.create(folder / "receipts", receipt_bytes(64), 1000)
    sends, receipts = RawLog(folder / "sends"), RawLog(folder / "receipts")
    sends.progress[0], receipts.progress[0] = sent, noted
    for place in range(received):
        body = stamp(0, newest if place == received - 1 else 0, 1, bytes(48))
        receipt_packer(receipts.record_bytes)(
            receipts.map, rawlog.START_BYTES + place * receipts.record_bytes, 1, body
        )
    return Backlog(sent=[sends], received=[ReceiptWatch(folder / "receipts")], most=100, copies=1)


def soon() -> int:
    """The end of a window that is long enough for any wait."""
    return now_ns() + 60_000_000_000


def test_what_a_consumer_notes_is_taken_for_its_progress_until_it_stands_still(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=250, noted=192)
    assert [backlog.size(), backlog.size(), backlog.size()] == [108, 50, 50]


def test_a_producer_goes_on_at_once_where_there_is_room(tmp_path: Path) -> None:
    assert backlog_of(tmp_path, sent=99, received=0, noted=0).wait(soon()) == 0


def test_a_producer_does_not_wait_for_what_was_received_but_not_noted(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=250, noted=192)
    assert backlog.wait(soon()) > 0
    assert (backlog.written_off, backlog.probes) == (0, 0)


def test_messages_that_a_later_one_has_overtaken_are_taken_for_lost(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=100, noted=64, newest=279)
    assert backlog.wait(soon()) > STILL_NS
    assert (backlog.written_off, backlog.probes, backlog.probing) == (180, 0, False)
    assert backlog.size() == 20


def test_messages_that_do_not_move_are_not_lost_but_answered_with_one_probe_at_a_time(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=100, noted=64, newest=99)
    for probes, waits in ((1, 1), (2, 1), (3, 2), (4, 4)):
        assert backlog.wait(soon()) > waits * STILL_NS
        assert (backlog.written_off, backlog.probes, backlog.probing) == (0, probes, True)
        backlog.sent[0].progress[0] += 1


def test_a_probe_that_arrives_says_that_what_was_sent_before_it_is_lost(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=100, noted=64, newest=99)
    backlog.wait(soon())
    log = RawLog(tmp_path / "receipts")
    backlog.sent[0].progress[0] += 1
    receipt_packer(log.record_bytes)(
        log.map, rawlog.START_BYTES + 100 * log.record_bytes, 1, stamp(0, 300, 1, bytes(48))
    )
    backlog.wait(soon())
    assert (backlog.written_off, backlog.size(), backlog.probing) == (200, 0, False)
    log.close()


def test_a_producer_waits_for_room_no_longer_than_until_the_end(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=100, noted=64, newest=99)
    backlog.wait(now_ns() + 1_000_000)
    assert (backlog.written_off, backlog.probes, backlog.size()) == (0, 0, 200)


@pytest.mark.parametrize("size", [16, 64, 1024, 2064, 2065, 65_536])
def test_bodies_that_are_put_together_when_they_are_sent_are_those_that_are_stamped_whole(size: int) -> None:
    own_tail = tail(1, 3, size)
    found = list(itertools.islice(roles._bodies(3, own_tail, 7, 0x1234), 20))
    assert found == Stamper(3, own_tail, 20, 0x1234).stamp(0, 20)


def test_a_slow_send_is_not_called_again_after_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rawlog.create(tmp_path / "sends", 8, 5000)
    sends, end_ns = RawLog(tmp_path / "sends"), 300_000_000
    clock = itertools.count(step=1000)
    monkeypatch.setattr(roles, "now_ns", lambda: next(clock) if len(producer.bodies) < 100 else end_ns)
    # Sends are quick at first, so that blocks get long; the hundredth outlasts the window.
    producer = Kept()
    backlog = Backlog(sent=[], received=[], most=1000, copies=1)
    sent, _ = roles.saturate(producer, 0, tail(1, 0, 64), sends, backlog, window=1, end_ns=end_ns)
    assert sent == len(producer.bodies) == sends.progress[0] == 100


def test_what_was_written_off_and_comes_after_all_makes_no_room(tmp_path: Path) -> None:
    backlog = backlog_of(tmp_path, sent=300, received=250, noted=192)
    backlog.written_off = 200
    assert [backlog.size(), backlog.size()] == [0, 0]
    backlog.sent[0].progress[0] += 30
    assert (backlog.size(), backlog.written_off) == (30, 50)


def test_bodies_that_come_together_were_received_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "receipts"
    rawlog.create(path, receipt_bytes(64), 100)
    log = RawLog(path)
    roles.consume(Batches(Stamper(0, tail(1, 0, 64), 8).stamp(0, 8)), [tail(1, 0, 64)], log)
    log.close()
    times_ns = rawlog.read_receipts(path)["time_ns"].tolist()
    assert [times_ns.count(time_ns) for time_ns in dict.fromkeys(times_ns)] == [3, 3, 2]


class Acknowledging(Singles):
    """Notes how many messages it had handed over at each acknowledgement."""

    acknowledges = True

    def __init__(self, bodies: Sequence[bytes]) -> None:
        super().__init__(bodies)
        self.acknowledged: list[int] = []
        self._all = len(self._left)

    def ack(self) -> None:
        self.acknowledged.append(self._all - len(self._left))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])
def test_each_message_is_acknowledged_before_the_next_is_taken_and_so_is_the_stop_message(
    tmp_path: Path, count: int
) -> None:
    consumer = Acknowledging(Stamper(0, tail(1, 0, 64), 100).stamp(0, count))
    assert len(consumed(tmp_path, consumer, 64)) == count
    assert consumer.acknowledged == list(range(1, count + 2))
