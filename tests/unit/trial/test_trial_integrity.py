"""From the consumer's loop to the ledger: no changed bit of any message goes unnoticed."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ipclab.backends.base import Consumer, Guarantees
from ipclab.backends.registry import Variant
from ipclab.checks.delivery import Ledger
from ipclab.trial import analysis, rawlog, roles
from ipclab.trial.analysis import Window
from ipclab.trial.message import HEADER, HEADER_BYTES, STOP, stamp, tail, trial_mark
from ipclab.trial.rawlog import RawLog
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import content, receipts_path, returns_path, sends_path

SEED = 3
MARK = trial_mark(str(SEED))
PROMISES = Guarantees(
    delivery="at-most-once",
    may_lose=frozenset(),
    order="per-producer",
    durability="none",
    confirm="written",
    reach="host",
)


class Batches(Consumer):
    """Hands over what it was given, seven at a time, and then the stop signal."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._left = deque([*bodies, STOP])

    def receive(self) -> Sequence[bytes]:
        return [self._left.popleft() for _ in range(min(7, len(self._left)))]


class Singles(Batches):
    """Hands them over one at a time, to the loop that is made for that."""

    def receiver(self) -> Callable[[], bytes]:
        return self._left.popleft


Account = Callable[..., Ledger]


@pytest.fixture(params=[Batches, Singles])
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Account:
    """What the lab makes of bodies, where each producer has sent so many."""
    return functools.partial(_account, request.param, tmp_path)


def _account(
    kind: type[Batches], folder: Path, bodies: Sequence[bytes], *, size: int, sent: int, producers: int = 1
) -> Ledger:
    spec = TrialSpec(
        workload="stream", backend=Variant("pipe"), producers=producers, size_bytes=size, seed=SEED
    )
    for producer in range(producers):
        rawlog.create(sends_path(folder, f"producer-{producer}"), 8, sent)
        sends = RawLog(sends_path(folder, f"producer-{producer}"))
        assert sends.stamps is not None
        for i in range(sent):
            sends.stamps[i] = 1 + i
        sends.close()
    rawlog.create(receipts_path(folder, "consumer-0"), rawlog.receipt_bytes(size), len(bodies) + 10)
    log = RawLog(receipts_path(folder, "consumer-0"))
    tails = [tail(SEED, producer, size) for producer in range(producers)]
    roles.consume(kind(bodies), tails, log)
    log.close()
    return analysis.delivery(
        spec,
        PROMISES,
        folder,
        Window(0, 2**62),
        finished={f"producer-{i}": sent for i in range(producers)},
        due_ns={},
        complete=True,
        content=str(SEED),
    ).ledger


def message(producer: int, sequence: int, size: int) -> bytes:
    return stamp(producer, sequence, 1, tail(SEED, producer, size), MARK)


def flipped(body: bytes, bit: int) -> bytes:
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_messages_that_arrive_as_they_were_sent_are_all_accounted_for(account: Account) -> None:
    bodies = [message(p, s, 64) for s in range(50) for p in range(3)]
    ledger = account(bodies, size=64, sent=50, producers=3)
    assert (ledger.received, ledger.verdict, ledger.broken) == (150, "valid", [])


def test_the_stop_signal_is_no_message(account: Account) -> None:
    ledger = account([], size=64, sent=0)
    assert (ledger.received, ledger.corrupted, ledger.unexpected) == (0, 0, 0)


@pytest.mark.parametrize("producers", [1, 3])
@pytest.mark.parametrize("size", [16, 17, 64, 128, 129, 200])
def test_any_flipped_bit_anywhere_in_a_body_is_noticed(account: Account, size: int, producers: int) -> None:
    bodies = [flipped(message(producers - 1, 5, size), bit) for bit in range(size * 8)]
    ledger = account(bodies, size=size, sent=10, producers=producers)
    assert ledger.corrupted == len(bodies) == ledger.received
    assert (ledger.lost, ledger.duplicated, ledger.verdict) == (10 * producers, 0, "invalid")


@pytest.mark.parametrize("place", np.linspace(0, 65_535, 9, dtype=int).tolist())
def test_a_changed_byte_of_a_big_message_is_noticed(account: Account, place: int) -> None:
    ledger = account([flipped(message(0, 0, 65_536), place * 8 + 3)], size=65_536, sent=1)
    assert ledger.corrupted == 1


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\0",
        message(0, 0, 64)[:-1],
        message(0, 0, 64)[1:],
        message(0, 0, 64)[:16],
        message(0, 0, 64)[:4],
        message(0, 0, 64) + b"\0",
        b"\0" + message(0, 0, 64),
        message(0, 0, 64) * 2,
        message(0, 0, 16) + tail(SEED, 1, 64),
        bytes(64),
        b"\xff" * 64,
        STOP + tail(SEED, 0, 64),
    ],
)
@pytest.mark.parametrize("producers", [1, 2])
def test_a_body_that_is_cut_stretched_or_mixed_up_is_noticed(
    account: Account, wrong: bytes, producers: int
) -> None:
    ledger = account([wrong, message(0, 1, 64)], size=64, sent=2, producers=producers)
    assert (ledger.received, ledger.corrupted) == (2, 1)


def test_a_message_of_another_trial_is_noticed(account: Account) -> None:
    stranger = stamp(0, 0, 1, tail(SEED + 1, 0, 64), MARK)
    assert account([stranger], size=64, sent=1).corrupted == 1


def test_a_whole_message_that_was_never_sent_is_unexpected_not_corrupted(account: Account) -> None:
    ledger = account([message(0, 0, 64), message(0, 7, 64)], size=64, sent=1)
    assert (ledger.unexpected, ledger.corrupted, ledger.verdict) == (1, 0, "invalid")


def test_what_a_killed_producer_had_not_confirmed_is_not_lost(tmp_path: Path) -> None:
    spec = TrialSpec(workload="stream", backend=Variant("pipe"), size_bytes=64, window=4, seed=SEED)
    rawlog.create(sends_path(tmp_path, "producer-0"), 8, 20)
    sends = RawLog(sends_path(tmp_path, "producer-0"))
    assert sends.stamps is not None
    for i in range(10):
        sends.stamps[i] = 1 + i
    rawlog.create(receipts_path(tmp_path, "consumer-0"), rawlog.RECEIPT_BYTES, 20)
    found = analysis.delivery(
        spec, PROMISES, tmp_path, Window(0, 100), finished={}, due_ns={}, complete=False, content=str(SEED)
    )
    # It went on to the third window of four, so two windows were confirmed.
    assert (found.ledger.attempted, found.ledger.confirmed, found.ledger.lost) == (10, 8, 8)
    assert found.ledger.verdict == "valid"


def test_a_message_that_came_twice_has_the_latency_of_its_first_receipt(tmp_path: Path) -> None:
    spec = TrialSpec(workload="paced", backend=Variant("pipe"), size_bytes=64, rate_per_s=1.0, seed=SEED)
    count = 25
    for path in (sends_path(tmp_path, "producer-0"), returns_path(tmp_path, "producer-0")):
        rawlog.create(path, 8, count)
        log = RawLog(path)
        assert log.stamps is not None
        for i in range(count):
            log.stamps[i] = 1000 + i
        log.close()
    path = receipts_path(tmp_path, "consumer-0")
    rawlog.create(path, rawlog.RECEIPT_BYTES, 2 * count)
    receipts = np.memmap(path, rawlog.RECEIPT, "r+", offset=rawlog.START_BYTES, shape=(2 * count,))
    receipts["time_ns"][:count] = 5000 + np.arange(count)
    receipts["time_ns"][count:] = 9000
    bodies = np.frombuffer(stamp(0, 0, count, tail(SEED, 0, 64), MARK), "V64")
    headers = np.array([np.frombuffer(body.tobytes()[:HEADER_BYTES], HEADER)[0] for body in bodies])
    receipts["header"] = np.concatenate([headers, headers])
    receipts.flush()
    found = analysis.delivery(
        spec,
        PROMISES,
        tmp_path,
        Window(0, 2**40),
        finished={"producer-0": count},
        due_ns={0: 1000 + np.arange(count)},
        complete=True,
        content=str(SEED),
    )
    assert found.ledger.duplicated == count
    assert found.latency.end_to_end is not None
    assert (found.latency.end_to_end.count, found.latency.end_to_end.max_ns) == (count, 4000)


def test_two_trials_with_the_same_seed_send_different_bytes() -> None:
    spec = TrialSpec(workload="stream", backend=Variant("pipe"), size_bytes=64, seed=SEED)
    one, other = content(spec, "ipclab:run:1"), content(spec, "ipclab:run:2")
    assert tail(one, 0, 64) != tail(other, 0, 64)
