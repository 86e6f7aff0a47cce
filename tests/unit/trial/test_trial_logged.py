"""Logged workers outlive errors, never repeat anything, give up in the end, and say what was damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from ipclab.history.format import Line
from ipclab.trial.cast import Cast
from ipclab.trial.logged import CORRUPTED, MOST_ERRORS, SEQUENCES, value
from ipclab.trial.message import STOP, stamp, tail
from ipclab.trial.processes import Worker
from ipclab.trial.worker import history_path
from tests.support.troubled import TroubledChannel, troubled
from tests.unit.trial.test_trial_cast import SPEC

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]
WITHIN_S = 20.0

Enact = Callable[..., tuple[Cast, Worker]]


@pytest.fixture
def enact(tmp_path: Path, nothing_left: None) -> Iterator[Enact]:
    """A worker of a channel, connected."""
    with ExitStack() as stack:

        def begin(role: str, channel: TroubledChannel, *, grace_s: float = 0.5) -> tuple[Cast, Worker]:
            stack.callback(channel.teardown)
            cast = stack.enter_context(
                Cast(msgspec.structs.replace(SPEC, grace_s=grace_s), channel, tmp_path)
            )
            worker = cast.start(role, 0)
            assert cast.ready([worker], WITHIN_S)
            return cast, worker

        yield begin


def lines(cast: Cast, worker: Worker) -> list[tuple[str, object]]:
    """What it has logged: the type and the value of each line."""
    text = history_path(cast.logs, worker.name).read_bytes()
    return [(line.type, line.value) for line in map(msgspec.json.Decoder(Line).decode, text.splitlines())]


def sent(*values: int, unknown: int | None = None) -> list[tuple[str, object]]:
    """The lines of these sends, of which one has an unknown outcome."""
    return [(kind, v) for v in values for kind in ("invoke", "info" if v == unknown else "ok")]


@pytest.mark.parametrize("trouble", ["send raises third", "sent and raises third"])
def test_a_send_that_raises_is_of_unknown_outcome_and_never_repeated(trouble: str, enact: Enact) -> None:
    cast, producer = enact("producer", troubled(trouble))

    cast.burst([producer], 5, 64)

    assert cast.wait(lambda: cast.idle(producer), WITHIN_S)
    assert lines(cast, producer) == sent(0, 1, 2, 3, 4, unknown=2)
    assert [report.count for report in producer.reports] == [4]


def test_bursts_go_on_where_the_last_one_ended(enact: Enact) -> None:
    cast, producer = enact("producer", troubled())

    for _ in range(2):
        cast.burst([producer], 2, 64)
        assert cast.wait(lambda: cast.idle(producer), WITHIN_S)

    assert lines(cast, producer) == sent(0, 1, 2, 3)


def test_a_producer_over_whose_new_connections_nothing_goes_gives_up(enact: Enact) -> None:
    cast, producer = enact("producer", troubled("send raises at once"))

    cast.burst([producer], 1000, 64)

    assert cast.wait(lambda: producer.gone, WITHIN_S)
    assert producer.failure == "producer-0: OSError: not sent"
    assert [kind for kind, _ in lines(cast, producer)] == ["invoke", "info"] * MOST_ERRORS
    assert len({value for _, value in lines(cast, producer)}) == MOST_ERRORS


def test_a_producer_that_cannot_connect_again_gives_up_when_its_patience_ends(enact: Enact) -> None:
    cast, producer = enact("producer", troubled("send raises third", connects=1))

    cast.burst([producer], 1000, 64)

    assert cast.wait(lambda: producer.gone, WITHIN_S)
    assert producer.failure == "producer-0: ConnectionRefusedError: nobody answers"
    assert lines(cast, producer) == sent(0, 1, 2, unknown=2)


def consumed(enact: Enact, trouble: str, *bodies: bytes) -> tuple[Cast, Worker]:
    """A consumer of these, and of a stop."""
    channel = troubled(trouble)
    cast, consumer = enact("consumer", channel)
    for body in (*bodies, STOP):
        channel._queue.put(body)
    assert cast.wait(lambda: consumer.gone, WITHIN_S)
    assert not consumer.failure
    return cast, consumer


TAIL = tail("content", 3, 64)
FEW = [stamp(3, sequence, 1, TAIL) for sequence in range(5)]
FIRST = 3 * SEQUENCES


@pytest.mark.parametrize("trouble", ["", "batches"])
def test_each_receipt_is_one_operation_and_a_stop_is_none(trouble: str, enact: Enact) -> None:
    cast, consumer = consumed(enact, trouble, *FEW)

    got = [entry for v in range(5) for entry in (("invoke", None), ("ok", FIRST + v))]
    # A batch that ends in a stop needs no receive of its own for it.
    assert lines(cast, consumer) in (got, [*got, ("invoke", None), ("fail", None)])


def test_a_receive_that_raises_is_of_unknown_outcome_and_the_consumer_goes_on(enact: Enact) -> None:
    cast, consumer = consumed(enact, "receive raises third", *FEW)

    # The third over each connection.
    assert [kind for kind, _ in lines(cast, consumer)].count("info") == 2
    assert [v for kind, v in lines(cast, consumer) if kind == "ok"] == [FIRST + v for v in range(5)]


def test_an_acknowledgement_that_raises_makes_the_consumer_connect_again_and_go_on(enact: Enact) -> None:
    cast, consumer = consumed(enact, "ack raises second", *FEW)

    received = [v for kind, v in lines(cast, consumer) if kind == "ok" and v is not None]
    assert received == [FIRST + v for v in range(5)]


def test_what_arrives_damaged_is_named_and_does_not_stop_the_consumer(enact: Enact) -> None:
    damaged = FEW[1][:-1] + bytes([FEW[1][-1] ^ 1])

    cast, consumer = consumed(enact, "", FEW[0], damaged, b"", b"short", FEW[2])

    got = [v for kind, v in lines(cast, consumer) if kind == "ok"]
    assert got == [FIRST, CORRUPTED, CORRUPTED, CORRUPTED, FIRST + 2]


def test_the_value_of_a_body_is_its_producer_and_sequence() -> None:
    assert value(stamp(3, 41, 1, TAIL)) == 3 * SEQUENCES + 41
    assert value(stamp(3, 41, 1, b"")) == 3 * SEQUENCES + 41


def test_no_single_damaged_byte_goes_unnoticed() -> None:
    body = stamp(3, 41, 1, TAIL)

    for place in range(len(body)):
        damaged = body[:place] + bytes([body[place] ^ 0x40]) + body[place + 1 :]
        assert value(damaged) == CORRUPTED, place


def test_a_body_that_was_cut_or_joined_is_damaged() -> None:
    assert value(FEW[0][:-1]) == CORRUPTED
    assert value(FEW[0] + FEW[1]) == CORRUPTED
    assert value(FEW[0][:10]) == CORRUPTED
