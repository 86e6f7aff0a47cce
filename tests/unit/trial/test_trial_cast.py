"""The cast of a crash or order trial: told what to do, watched, waited for with patience, and ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipclab.backends.registry import Variant
from ipclab.host import hang, stillness
from ipclab.trial.cast import Cast, _Tail
from ipclab.trial.processes import Worker
from ipclab.trial.spec import TrialSpec
from tests.support.troubled import TroubledChannel, troubled

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]
WITHIN_S = 20.0
SOON_S = 0.2
SPEC = TrialSpec(
    workload="crash",
    backend=Variant("simple-queue"),
    producers=1,
    consumers=1,
    grace_s=0.5,
    start_method="fork",
)
LINE = b'{"process":"p","type":"invoke","f":"send","time":1,"value":7}\n'

Make = Callable[[TroubledChannel], Cast]


class FanOutChannel(TroubledChannel):
    fan_out = True


@pytest.fixture
def make(tmp_path: Path, nothing_left: None) -> Iterator[Make]:
    with ExitStack() as stack:

        def begin(channel: TroubledChannel) -> Cast:
            stack.callback(channel.teardown)
            return stack.enter_context(Cast(SPEC, channel, tmp_path))

        yield begin


def pair(cast: Cast) -> tuple[Worker, Worker]:
    """A producer and a consumer, connected."""
    producer, consumer = cast.start("producer", 0), cast.start("consumer", 0)
    assert cast.ready([producer, consumer], WITHIN_S)
    return producer, consumer


def test_what_is_sent_and_received_is_seen_in_the_logs(make: Make) -> None:
    cast = make(troubled())
    producer, consumer = pair(cast)

    cast.burst([producer], 5, 64)

    assert cast.wait(lambda: cast.idle(producer) and not cast.missing(), WITHIN_S)
    assert list(cast.sent_ns) == [0, 1, 2, 3, 4]
    assert list(cast.received_ns) == [""]
    assert sorted(cast.received_ns[""]) == [0, 1, 2, 3, 4]
    assert cast.receipts() == 5
    assert all(cast.began_ns[v] <= cast.sent_ns[v] <= cast.received_ns[""][v] for v in range(5))
    assert cast.wait(lambda: cast.waits(consumer), WITHIN_S)
    assert stillness.asleep(consumer.pid)


def test_a_confirmed_message_that_has_not_come_is_missing_and_one_that_is_not_confirmed_is_not(
    make: Make,
) -> None:
    cast = make(troubled("send raises third"))
    producer = cast.start("producer", 0)
    assert cast.ready([producer], WITHIN_S)

    cast.burst([producer], 5, 64)

    assert cast.wait(lambda: cast.idle(producer), WITHIN_S)
    assert (cast.missing(), cast.receipts()) == (4, 0)


def test_with_fan_out_every_consumer_that_is_alive_is_owed_every_message(make: Make) -> None:
    channel = FanOutChannel(troubled().site)
    channel.setup()
    cast = make(channel)
    producer, consumer = pair(cast)
    other = cast.start("consumer", 1)
    assert cast.ready([other], WITHIN_S)

    cast.burst([producer], 4, 64)

    # It is a queue all the same, so that each message comes to one of them.
    assert cast.wait(lambda: cast.idle(producer) and cast.receipts() == 4, WITHIN_S)
    assert cast.missing() == 4
    other.process.kill()
    other.process.join()
    cast.look()
    assert cast.missing() == 4 - len(cast.received_ns[consumer.name])


def test_a_worker_that_cannot_connect_is_not_ready(make: Make) -> None:
    cast = make(troubled(connects=0))

    assert not cast.ready([cast.start("producer", 0)], WITHIN_S)


def test_a_worker_that_is_slow_is_waited_for_and_one_that_hangs_is_not(make: Make, tmp_path: Path) -> None:
    cast = make(troubled("send is slow"))
    producer = cast.start("producer", 0)
    assert cast.ready([producer], WITHIN_S)
    cast.burst([producer], 1, 64)
    assert cast.outlast(lambda: cast.done([producer]), SOON_S)

    os.kill(producer.pid, signal.SIGSTOP)
    assert stillness.all_stopped([producer.pid])
    cast.burst([producer], 1, 64)
    before = time.monotonic()
    assert not cast.outlast(lambda: cast.done([producer]), SOON_S)
    assert time.monotonic() - before >= SOON_S + hang.LOOK_S


def test_nobody_is_called_still_while_others_get_on(make: Make) -> None:
    cast = make(troubled())
    producer, consumer = pair(cast)
    os.kill(consumer.pid, signal.SIGSTOP)
    assert stillness.all_stopped([consumer.pid])
    cast.burst([producer], 60, 64, gap_s=0.02)

    assert not cast.outlast(lambda: cast.receipts() > 0, SOON_S)
    assert cast.idle(producer)


def test_patience_with_the_slow_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang, "SLOW_AT_MOST_S", 0.3)
    cast = make(troubled("send is slow"))
    producer = cast.start("producer", 0)
    assert cast.ready([producer], WITHIN_S)
    cast.burst([producer], 1000, 64)

    assert not cast.outlast(lambda: cast.done([producer]), SOON_S)


def test_consumers_end_when_they_are_stopped_and_producers_when_they_are_dismissed(make: Make) -> None:
    cast = make(troubled())
    producer, consumer = pair(cast)
    other = cast.start("consumer", 1)
    assert cast.ready([other], WITHIN_S)
    cast.burst([producer], 1, 64)

    assert cast.dismiss([producer], WITHIN_S) == []
    assert cast.stop([consumer, other], WITHIN_S, place=1) == []
    assert [w.process.is_alive() for w in (producer, consumer, other)] == [False] * 3
    assert {w.failure for w in cast.crew.workers} == {""}


def test_a_consumer_that_does_not_come_back_is_told_and_its_stack_says_where_it_is(make: Make) -> None:
    cast = make(troubled("receive hangs after first"))
    producer, consumer = pair(cast)
    cast.burst([producer], 1, 64)
    assert cast.wait(lambda: not cast.missing() and cast.idle(producer), WITHIN_S)

    stuck = cast.stop([consumer], SOON_S, place=1)

    assert stuck == [consumer]
    assert "in receive" in cast.stacks(stuck)[consumer.name]
    assert not consumer.process.is_alive()


def test_who_cannot_send_a_stop_is_told_with_those_that_cannot_get_one(make: Make) -> None:
    cast = make(troubled("stop hangs"))
    _, consumer = pair(cast)

    stuck = cast.stop([consumer], SOON_S, place=1)

    assert [w.name for w in stuck] == ["stopper-0", "consumer-0"]
    assert cast.stacks(stuck).keys() == {"stopper-0", "consumer-0"}


def test_stops_that_fail_are_tried_again_until_the_time_is_over(make: Make) -> None:
    cast = make(troubled("stop raises"))
    _, consumer = pair(cast)

    assert cast.stop([consumer], 1.0, place=1) == [consumer]
    assert len(cast.crew.by_role("stopper")) > 1


def test_a_producer_that_cannot_close_is_told(make: Make) -> None:
    cast = make(troubled("close hangs"))
    producer, _ = pair(cast)

    assert cast.dismiss([producer], SOON_S) == [producer]


def test_who_came_back_after_all_has_no_stack_and_hangs_in_nothing(make: Make) -> None:
    cast = make(troubled())
    producer, consumer = pair(cast)
    assert cast.dismiss([producer], WITHIN_S) == []

    assert cast.stacks([producer]) == {}
    assert cast.stacks([]) == {}
    assert cast.stacks([consumer]).keys() == {"consumer-0"}


def test_one_that_was_killed_meanwhile_hangs_in_nothing(make: Make) -> None:
    cast = make(troubled())
    producer, _ = pair(cast)
    os.kill(producer.pid, signal.SIGKILL)

    assert cast.stacks([producer]) == {}


def test_one_that_crashes_while_it_writes_its_stack_was_hung_all_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = make(troubled())
    _, consumer = pair(cast)
    monkeypatch.setattr(type(consumer.process), "exitcode", -signal.SIGSEGV)

    assert cast.stacks([consumer]).keys() == {consumer.name}


def test_draining_ends_when_all_has_come(make: Make) -> None:
    cast = make(troubled("receive is slow"))
    producer, _ = pair(cast)
    cast.burst([producer], 2, 64)
    assert cast.wait(lambda: cast.idle(producer), WITHIN_S)

    # Quiet for longer than is allowed, but not at rest.
    cast.drain(SOON_S, WITHIN_S)

    assert cast.missing() == 0


@pytest.mark.slow
def test_draining_waits_for_what_is_late_as_long_as_messages_usually_take(make: Make) -> None:
    cast = make(troubled("polls"))
    producer, _ = pair(cast)
    cast.burst([producer], 3, 64)
    assert cast.wait(lambda: cast.idle(producer) and cast.receipts() > 0, WITHIN_S)

    # The consumer is at rest for longer than that, and has lost nothing.
    cast.drain(SOON_S, WITHIN_S)

    assert cast.missing() == 0


def test_draining_ends_when_nothing_comes_and_all_are_at_rest(make: Make) -> None:
    cast = make(troubled("receive hangs after first"))
    producer, _ = pair(cast)
    cast.burst([producer], 2, 64)
    assert cast.wait(lambda: cast.idle(producer), WITHIN_S)

    cast.drain(SOON_S, WITHIN_S)

    assert cast.missing() == 1


def test_draining_ends_when_nobody_is_left_to_receive(make: Make) -> None:
    cast = make(troubled())
    producer, consumer = pair(cast)
    consumer.process.kill()
    cast.burst([producer], 2, 64)
    assert cast.wait(lambda: cast.idle(producer) and consumer.ended, WITHIN_S)

    cast.drain(WITHIN_S, WITHIN_S)

    assert cast.missing() == 2


def test_a_log_is_read_by_whole_lines_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = _Tail(path)
    assert tail.lines() == []

    path.write_bytes(LINE + LINE[:20])
    assert [line.value for line in tail.lines()] == [7]
    assert tail.lines() == []

    path.write_bytes(LINE + LINE)
    assert [line.value for line in tail.lines()] == [7]
