"""The work of a job: its text, its handler, and the loop of a consumer that does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import pytest

from ipclab.backends.base import Consumer
from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.trial import rawlog, work, working
from ipclab.trial.check import check
from ipclab.trial.message import STOP, stamp, tail
from ipclab.trial.rawlog import RawLog, receipt_bytes
from ipclab.trial.spec import TrialSpec
from ipclab.trial.work import HandlerError, handler, parse

SIZE = 64


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("5ms", "5ms"),
        ("sleep:5ms", "5ms"),
        ("constant:sleep:5ms", "5ms"),
        ("5ms:cpu", "cpu:5ms"),
        ("cpu:exp:5ms", "exp:cpu:5ms"),
        ("exp:0.25ms", "exp:250us"),
        ("1500us", "1.5ms"),
        ("2s", "2s"),
        ("900ns", "900ns"),
    ],
)
def test_work_has_one_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", "is no work: write 5ms"),
        ("", "is no work: write 5ms"),
        ("5 minutes", "is no work"),
        ("cpu", "a job takes more than 0"),
        ("0ms", "a job takes more than 0"),
        ("11s", "at most 10 s"),
        ("5ms:6ms", "two words for the duration"),
        ("cpu:sleep:5ms", "two words for the kind"),
    ],
)
def test_what_is_no_work_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(text)


def test_cpu_work_uses_the_thread_s_own_cpu_time() -> None:
    before_ns = time.thread_time_ns()
    handler(parse("cpu:3ms"), 0.0, "seed")()
    assert time.thread_time_ns() - before_ns >= 3_000_000


def test_time_without_a_processor_is_no_cpu_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock runs on while the thread gets a millisecond of CPU time at every third look only."""
    looks = iter(n // 3 * 1_000_000 for n in range(1000))
    taken: list[int] = []

    def clock() -> int:
        taken.append(next(looks))
        return taken[-1]

    monkeypatch.setattr(time, "thread_time_ns", clock)
    work.burn(5_000_000)
    assert taken[-1] - taken[0] >= 5_000_000
    assert len(taken) > 15


def test_exponential_work_has_the_mean_that_was_asked_for_and_the_same_durations_for_a_seed() -> None:
    asked = parse("exp:5ms")
    found = list(islice(asked.durations_ns("a"), 20_000))
    assert sum(found) / len(found) == pytest.approx(5_000_000, rel=0.05)
    assert found[:5] == list(islice(asked.durations_ns("a"), 5))
    assert found[:5] != list(islice(asked.durations_ns("b"), 5))


def test_the_handler_raises_in_the_share_of_calls_that_was_asked_for() -> None:
    handle = handler(parse("1ns"), 0.25, "seed")
    raised = 0
    for _ in range(2000):
        try:
            handle()
        except HandlerError:
            raised += 1
    assert raised / 2000 == pytest.approx(0.25, abs=0.05)


class Recording(Consumer):
    """Hands over bodies one at a time, and notes what was settled how."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._left = [*bodies, STOP]
        self.settled: list[str] = []

    def receive(self) -> Sequence[bytes]:
        return (self._left.pop(0),)

    def ack(self) -> None:
        self.settled.append("ack")

    def reject(self) -> None:
        self.settled.append("reject")


class Acknowledging(Recording):
    acknowledges = True


class Rejecting(Acknowledging):
    rejects = True


def second_fails() -> Callable[[], None]:
    calls: list[None] = []

    def handle() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise HandlerError

    return handle


@pytest.mark.parametrize(
    ("kind", "settled", "returned"),
    [
        (Recording, [], 0),
        (Acknowledging, ["ack"] * 4, 0),
        (Rejecting, ["ack", "reject", "ack", "ack"], 1),
    ],
)
def test_a_handler_that_raises_has_its_message_rejected_where_the_backend_can(
    kind: type[Recording], settled: list[str], returned: int, tmp_path: Path
) -> None:
    receipts, works = tmp_path / "c.receipts", tmp_path / "c.works"
    rawlog.create(receipts, receipt_bytes(SIZE), 10)
    rawlog.create(works, 8, 10)
    own_tail = tail(1, 0, SIZE)
    consumer = kind([stamp(0, n, 1, own_tail) for n in range(3)])
    found = working.consume(consumer, [own_tail], RawLog(receipts), RawLog(works), second_fails())

    # The last one settles the stop message, where anything is settled at all.
    assert (consumer.settled, found) == (settled, returned)
    began, ended = rawlog.read_receipts(receipts)["time_ns"], rawlog.read_stamps(works)
    assert len(began) == len(ended) == 3
    assert [end > 0 for end in ended] == [True, False, True]
    assert all(abs(end) >= start for start, end in zip(began, ended, strict=True))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"work_fail_share": 0.1}, "only work can fail"),
        ({"work": "5ms", "work_fail_share": 0.6}, "at most 50%"),
        (
            {"work": "5ms", "workload": "ping-pong", "rate_per_s": None},
            "the consumers of ping-pong do no work",
        ),
        ({"work": "5ms", "backend": "redis-pubsub", "consumers": 3}, "3 consumers cannot share the work"),
        ({"work": "sleep:5ms"}, "is written 5ms"),
        (
            {"work": "5ms", "backend": "redis-list", "window": 10, "workload": "stream", "rate_per_s": None},
            "one message at a time",
        ),
        (
            {"work": "5ms", "work_fail_share": 0.1, "codec": "shm", "payload": "ndarray:float64"},
            "a job that failed cannot be done again",
        ),
        ({"work": "1s", "workload": "crash", "rate_per_s": None}, "at most 100 ms of work"),
    ],
)
def test_work_that_is_impossible_is_refused(settings: dict[str, object], says: str) -> None:
    whole = {"workload": "paced", "backend": "queue", "rate_per_s": 100.0, **settings}
    whole["backend"] = Variant.parse(str(whole["backend"]))
    with pytest.raises(UsageError, match=says):
        check(TrialSpec(**whole))  # type: ignore[arg-type]
