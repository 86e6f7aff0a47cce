"""The delivery ledger of a history: graded by the guarantee, and the same as one kept the plain way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from ipclab.checks import Verdict, check
from ipclab.checks.delivery import DeliveryCheck
from ipclab.checks.models import calls
from ipclab.checks.search import search
from ipclab.errors import UsageError
from ipclab.history import Fault, Header, History, Operation, parse
from ipclab.history.format import Guarantee
from tests.support.histories import Row, history_of, maimed, schedule

SMALL = 6_000
SEEDS = pytest.mark.parametrize(
    "seeds", [range(1_500), pytest.param(range(1_500, SMALL), marks=pytest.mark.slow)], ids=["few", "many"]
)


def op(process: Any, f: str, value: Any, start: int, end: int | None, outcome: Any = "ok") -> Operation:
    return Operation(process=process, f=f, value=value, start_ns=start, end_ns=end, outcome=outcome)


def judged(
    operations: Sequence[Operation],
    guarantee: Guarantee = "exactly-once",
    faults: Sequence[Fault] = (),
    **header: Any,
) -> Verdict:
    head = Header(ipclab_history=1, model="delivery", **header)
    return check(History.of(operations, faults=faults, header=head), guarantee=guarantee)


def declared(operations: Sequence[Operation], **header: Any) -> History:
    return History.of(operations, header=Header(ipclab_history=1, model="delivery", **header))


SENT = [op("p", "send", n, 10 * n, 10 * n + 5) for n in range(3)]
ALL = [*SENT, *(op("c", "receive", n, 100 + 10 * n, 105 + 10 * n) for n in range(3))]


def test_all_that_was_sent_and_received_once_is_valid_for_every_guarantee() -> None:
    for guarantee in ("at-most-once", "at-least-once", "exactly-once"):
        assert judged(ALL, guarantee).verdict == "valid"


def test_a_loss_breaks_what_does_not_allow_it() -> None:
    words = {g: judged(ALL[:-1], g).verdict for g in ("at-most-once", "at-least-once", "exactly-once")}
    assert words == {"at-most-once": "valid", "at-least-once": "invalid", "exactly-once": "invalid"}
    assert judged(ALL[:-1]).anomalies == {"lost": 1}


def test_a_second_receipt_breaks_what_does_not_allow_it() -> None:
    again = [*ALL, op("c", "receive", 1, 200, 205)]
    words = {g: judged(again, g).verdict for g in ("at-most-once", "at-least-once", "exactly-once")}
    assert words == {"at-most-once": "invalid", "at-least-once": "valid", "exactly-once": "invalid"}
    assert judged(again).anomalies == {"duplicated": 1}


def test_a_receive_that_never_ended_excuses_one_loss() -> None:
    pending = [*ALL[:-2], op("c2", "receive", None, 130, None, "open")]
    verdict = judged(pending)
    assert (verdict.counts["lost"], verdict.counts["lost_excused"]) == (2, 1)
    assert verdict.anomalies == {"lost": 1}
    assert judged([*ALL[:-1], pending[-1]]).verdict == "valid"


def test_a_kill_excuses_what_was_in_flight_and_sent_before_it() -> None:
    kill = Fault(f="kill", value="consumer-1", start_ns=15, end_ns=15)
    operations = [*SENT, op(7, "receive", None, 1, 3, "fail"), op(8, "receive", 0, 50, 55)]
    names = {"7": "consumer-1"}
    verdict = judged(operations, "exactly-once", [kill], names=names, in_flight=10)
    # Message 1 was sent before the kill, message 2 after it.
    assert (verdict.counts["lost"], verdict.counts["lost_excused"]) == (2, 1)
    assert verdict.anomalies == {"lost": 1}
    without = judged(operations, "exactly-once", [kill], names=names)
    assert without.counts["lost_excused"] == 0


def test_at_least_once_owes_what_a_receive_that_never_ended_may_have_got() -> None:
    pending = [*ALL[:-1], op("c2", "receive", None, 130, None, "open")]
    assert judged(pending, "exactly-once").verdict == "valid"
    assert judged(pending, "at-least-once").anomalies == {"lost": 1}


def test_nothing_is_excused_where_that_is_asked_for() -> None:
    pending = declared([*ALL[:-1], op("c2", "receive", None, 130, None, "open")])
    assert check(pending, excuses=False).anomalies == {"lost": 1}


def test_a_loss_that_the_channel_declares_for_what_was_done_is_not_held_against_it() -> None:
    verdict = check(declared(ALL[:-1], guarantee="at-least-once", may_lose=True))
    assert (verdict.verdict, verdict.counts["lost"]) == ("valid", 1)
    assert "1 lost messages do not count, because the loss is declared" in verdict.notes


def test_a_loss_that_at_most_once_does_not_declare_for_what_was_done_is_held_against_it() -> None:
    history = declared(ALL[:-1], guarantee="at-most-once", may_lose=False)
    assert check(history).anomalies == {"lost": 1}


def test_a_guarantee_that_is_asked_for_stands_before_what_is_declared() -> None:
    history = declared(ALL[:-1], guarantee="at-least-once", may_lose=True)
    assert check(history, guarantee="exactly-once").anomalies == {"lost": 1}


def test_a_process_cannot_receive_what_it_sends_next_in_the_same_tick() -> None:
    assert judged([op(1, "receive", 5, 0, 10), op(1, "send", 5, 10, 20)]).anomalies == {
        "received-before-sent": 1
    }
    assert judged([op(1, "receive", 5, 0, 10), op(2, "send", 5, 10, 20)]).verdict == "valid"


def test_losses_of_a_channel_that_was_not_drained_are_unknown() -> None:
    verdict = judged(ALL[:-1], drained=False)
    assert verdict.verdict == "unknown"
    assert "drained" in verdict.reason


def test_a_receipt_before_the_send_began_is_named() -> None:
    verdict = judged([op("p", "send", 1, 50, 60), op("c", "receive", 1, 10, 20)])
    assert verdict.anomalies == {"received-before-sent": 1}


def test_a_message_whose_send_failed_is_a_phantom() -> None:
    verdict = judged([op("p", "send", 1, 0, 1, "fail"), op("c", "receive", 1, 10, 20)])
    assert verdict.anomalies == {"phantom": 1}


def test_a_confirmed_message_after_a_later_one_is_reordered_where_order_is_declared() -> None:
    swapped = [*SENT, *(op("c", "receive", n, 100 + i, 101 + i) for i, n in enumerate([0, 2, 1]))]
    assert judged(swapped).verdict == "valid"
    assert judged(swapped).counts["reordered"] == 1
    verdict = judged(swapped, ordered=True)
    assert verdict.anomalies == {"reordered": 1}
    assert verdict.counterexample is not None
    assert [o.value for o in verdict.counterexample.operations] == [1, 2, 2, 1]


def test_an_unconfirmed_message_may_come_at_any_time() -> None:
    sends = [SENT[0], op("p", "send", 1, 10, 15, "info"), SENT[2]]
    late = [*sends, *(op("c", "receive", n, 100 + i, 101 + i) for i, n in enumerate([0, 2, 1]))]
    verdict = judged(late, ordered=True)
    assert (verdict.verdict, verdict.counts["recovered"]) == ("valid", 1)


def test_with_fan_out_every_consumer_is_owed_every_message() -> None:
    both = [*ALL, *(op("d", "receive", n, 100 + 10 * n, 105 + 10 * n) for n in range(2))]
    verdict = judged(both, fan_out=True)
    assert verdict.anomalies == {"lost": 1}
    assert (verdict.counts["owed"], verdict.counts["received"]) == (6, 5)


def test_messages_sent_twice_cannot_be_told_apart() -> None:
    verdict = judged([*ALL, op("p", "send", 1, 40, 45)])
    assert verdict.verdict == "unknown"


def test_the_ledger_tells_which_messages_are_missing() -> None:
    ledger = DeliveryCheck([3, 1], [2, 1], consumers=1)
    ledger.add(0, np.array([0]), np.array([1]), np.array([True]))
    assert ledger.missing().tolist() == [[True, False, False, True]]
    holes = DeliveryCheck([3, 1], [2, 1], consumers=1, sure=np.array([True, False, True, True]))
    holes.add(0, np.array([0]), np.array([1]), np.array([True]))
    assert holes.missing().tolist() == [[True, False, True, True]]
    assert holes.once(0, np.array([0]), np.array([1])).tolist() == [False]


def test_the_same_message_on_another_key_is_another_message() -> None:
    keyed = [
        Operation(process="p", f="send", value=1, start_ns=0, end_ns=1, key="a"),
        Operation(process="c", f="receive", value=1, start_ns=2, end_ns=3, key="b"),
    ]
    assert judged(keyed).anomalies == {"phantom": 1, "lost": 1}


def chaotic(seed: int) -> History:
    """Sends and receipts at random: most fit one another."""
    chance = random.Random(seed)
    rows: list[Row] = []
    sent: list[int] = []
    for n, (who, start, end, _) in enumerate(
        schedule(chance, chance.randrange(2, 11), chance.randrange(1, 5)), 1
    ):
        if chance.random() < 0.5:
            sent.append(n)
            rows.append((who, "send", n, start, end, "ok"))
        else:
            value = sent.pop(chance.randrange(len(sent))) if sent and chance.random() < 0.9 else None
            if chance.random() < 0.1:
                value = chance.randrange(1, 9)
            rows.append((who, "receive", value, start, end, "ok"))
    return history_of(maimed(chance, rows), "delivery")


def own_later(receipt: Operation, send: Operation) -> bool:
    """Whether a process did the one after the other: so it is, also within a tick of the clock."""
    return receipt.process == send.process and receipt.start_ns <= send.start_ns


def plain(history: History) -> dict[str, int]:
    """The counts by hand, with sets and loops."""
    operations = [history.operation(i) for i in range(len(history))]
    sends = {o.value: o for o in operations if o.f == "send" and o.outcome != "fail"}
    receipts = sorted(
        (o for o in operations if o.f == "receive" and o.outcome == "ok" and o.value is not None),
        key=lambda o: o.end_ns or 0,
    )
    confirmed = {v for v, o in sends.items() if o.outcome == "ok"}
    got = Counter(o.value for o in receipts if o.value in sends)
    lost = len(confirmed - set(got))
    open_ = sum(1 for o in operations if o.f == "receive" and o.outcome in ("open", "info"))
    late = 0
    for i, receipt in enumerate(receipts):
        send = sends.get(receipt.value)
        earlier = [sends[o.value] for o in receipts[:i] if o.process == receipt.process and o.value in sends]
        late += (
            send is not None
            and send.outcome == "ok"
            and any(e.process == send.process and e.start_ns > send.start_ns for e in earlier)
        )
    return {
        "attempted": len(sends),
        "confirmed": len(confirmed),
        "received": len(receipts),
        "lost": lost,
        "lost_excused": min(lost, open_),
        "recovered": len(set(got) - confirmed),
        "duplicated": sum(got.values()) - len(got),
        "unexpected": sum(o.value not in sends for o in receipts),
        "reordered": late,
        "received_before_sent": sum(
            o.value in sends and (o.end_ns or 0) < sends[o.value].start_ns + own_later(o, sends[o.value])
            for o in receipts
        ),
    }


@SEEDS
def test_the_counts_are_those_of_a_ledger_kept_by_hand(seeds: range) -> None:
    for seed in seeds:
        history = chaotic(seed)
        counts = check(history, ordered=True).counts
        expected = plain(history)
        assert {name: counts[name] for name in expected} == expected, f"seed {seed}"


def _bag(state: frozenset[Any], f: str, value: Any) -> Any:
    from ipclab.checks.models import IMPOSSIBLE

    if f == "enqueue":
        return state | {value}
    if f == "take":
        return state
    return state - {value} if value in state else IMPOSSIBLE


@SEEDS
def test_at_most_once_holds_where_the_search_finds_an_order_of_a_bag_that_loses(seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        history = chaotic(seed)
        some = [c for c in calls(history, "queue").get(0, []) if c.f != "dequeue" or c.value >= 0]
        answer = search(some, frozenset(), _bag).verdict
        assert check(history, guarantee="at-most-once").verdict == answer, f"seed {seed}"
        seen[answer] += 1
    assert min(seen["valid"], seen["invalid"]) > len(seeds) / 10


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once", "exactly-once"])
def test_an_empty_history_is_valid(guarantee: Guarantee) -> None:
    assert judged([], guarantee).verdict == "valid"


def _worked(*lines: tuple[str, str, object], guarantee: str = "at-least-once", **header: object) -> Verdict:
    """The verdict on a history of one message, of which these (process, operation, outcome) follow."""
    text: list[dict[str, object]] = [
        {"ipclab_history": 1, "model": "delivery", "guarantee": guarantee, **header}
    ]
    text += [{"process": "p", "type": kind, "f": "send", "value": 7, "time": 1} for kind in ("invoke", "ok")]
    for time, (process, f, outcome) in enumerate(lines, 2):
        if f == "kill":
            text.append({"process": "fault", "type": "info", "f": f, "value": process, "time": time})
            continue
        value = {"value": 7} if (f, outcome) == ("receive", "ok") else {}
        text.append({"process": process, "type": "invoke", "f": f, "time": time})
        if outcome is not None:
            text.append({"process": process, "type": outcome, "f": f, "time": time, **value})
    return check(parse([msgspec.json.encode(line) + b"\n" for line in text]))


GOT = ("a", "receive", "ok")
DIED = ("a", "kill", None)


@pytest.mark.parametrize(
    ("lines", "unacknowledged"),
    [
        ([GOT, ("a", "ack", "ok"), DIED], 0),
        # Nobody knows whether it was heard.
        ([GOT, ("a", "ack", None), DIED], 0),
        ([GOT, ("a", "ack", "info"), DIED], 0),
        ([GOT, DIED, ("b", "receive", "ok")], 0),
        ([GOT, DIED, ("b", "receive", "ok"), ("b", "ack", "ok")], 0),
        ([GOT, DIED, ("b", "ack", "ok")], 1),
        ([GOT, DIED, ("b", "receive", None)], 1),
        # What it held was given up; the next acknowledgement is of something else.
        ([GOT, ("a", "ack", "fail"), ("a", "ack", "ok")], 1),
    ],
)
def test_at_least_once_a_message_counts_that_was_acknowledged_or_came_again(
    lines: list[tuple[str, str, object]], unacknowledged: int
) -> None:
    verdict = _worked(*lines, acknowledged=True)

    assert verdict.counts["unacknowledged"] == verdict.counts["lost"] == unacknowledged
    assert verdict.anomalies == ({"lost": 1} if unacknowledged else {})
    if unacknowledged:
        assert "receive → 7 by a was the only receipt, which was never acknowledged" in verdict.reason


def test_a_history_without_acknowledgements_is_judged_by_its_receipts() -> None:
    assert _worked(GOT, DIED).verdict == "valid"
    assert _worked(GOT, DIED, acknowledged=True).verdict == "invalid"
    assert _worked(GOT, DIED, acknowledged=True, guarantee="at-most-once").verdict == "valid"
    assert _worked(GOT, DIED, acknowledged=True, may_lose=True).verdict == "valid"


def test_an_acknowledgement_has_no_value() -> None:
    lines = [
        b'{"ipclab_history": 1, "model": "delivery"}\n',
        b'{"process": "a", "type": "invoke", "f": "ack", "value": 7, "time": 1}\n',
    ]
    with pytest.raises(UsageError, match="line 2: ack has no value"):
        parse(lines)


def test_a_delivery_with_acknowledgements_may_be_checked_as_a_queue() -> None:
    text = [
        b'{"ipclab_history": 1, "model": "delivery"}\n',
        b'{"process": "p", "type": "invoke", "f": "send", "value": 7, "time": 1}\n',
        b'{"process": "p", "type": "ok", "f": "send", "value": 7, "time": 2}\n',
        b'{"process": "a", "type": "invoke", "f": "receive", "time": 3}\n',
        b'{"process": "a", "type": "ok", "f": "receive", "value": 7, "time": 4}\n',
        b'{"process": "a", "type": "invoke", "f": "ack", "time": 5}\n',
        b'{"process": "a", "type": "ok", "f": "ack", "time": 6}\n',
    ]

    assert check(parse(text), "queue").verdict == "valid"
    assert check(parse(text), "queue").operations == 2
