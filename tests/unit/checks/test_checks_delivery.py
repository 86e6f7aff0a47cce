"""The delivery ledger: each anomaly caught by name, and the same counts as a ledger kept the plain way."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.checks.breach import texts
from ipclab.checks.delivery import DeliveryCheck, Ledger, of_unfinished
from ipclab.checks.drops import Drops

ANOMALIES = ("lost", "duplicated", "unexpected", "corrupted", "reordered")


@dataclass(frozen=True)
class Receipt:
    """What one consumer logged."""

    consumer: int
    producer: int
    sequence: int
    intact: bool = True


@dataclass(frozen=True)
class History:
    """What everybody did."""

    attempted: Sequence[int]
    confirmed: Sequence[int]
    consumers: int
    fan_out: bool
    receipts: Sequence[Receipt]


def check_of(history: History, cuts: Sequence[int] = ()) -> DeliveryCheck:
    """The check, fed with the receipts between two cuts at a time, each consumer's in their order."""
    check = DeliveryCheck(
        history.attempted, history.confirmed, consumers=history.consumers, fan_out=history.fan_out
    )
    bounds = [0, *sorted(cuts), len(history.receipts)]
    for first, last in itertools.pairwise(bounds):
        for consumer in range(history.consumers):
            part = [r for r in history.receipts[first:last] if r.consumer == consumer]
            check.add(
                consumer,
                np.array([r.producer for r in part], np.uint16),
                np.array([r.sequence for r in part], np.uint64),
                np.array([r.intact for r in part], np.bool_),
            )
    return check


def settle(
    history: History,
    cuts: Sequence[int] = (),
    *,
    may_lose: bool = False,
    may_duplicate: bool = False,
    ordered: bool = True,
) -> Ledger:
    return check_of(history, cuts).settle(may_lose=may_lose, may_duplicate=may_duplicate, ordered=ordered)


def received(*pairs: str, consumer: int = 0) -> list[Receipt]:
    """Receipts written as ``producer/sequence``."""
    split = [pair.split("/") for pair in pairs]
    return [Receipt(consumer, int(producer), int(sequence)) for producer, sequence in split]


def one_queue(*receipts: Receipt, attempted: int = 3, confirmed: int = 3, consumers: int = 1) -> History:
    return History([attempted], [confirmed], consumers, False, receipts)


def only(ledger: Ledger, anomaly: str, count: int) -> bool:
    """Whether the ledger shows this anomaly so many times and no other."""
    return {name: getattr(ledger, name) for name in ANOMALIES if getattr(ledger, name)} == {anomaly: count}


def test_a_history_in_which_all_went_well_is_valid() -> None:
    ledger = settle(one_queue(*received("0/0", "0/1", "0/2")))
    assert (ledger.verdict, ledger.broken, ledger.examples) == ("valid", [], {})
    assert (ledger.attempted, ledger.confirmed, ledger.owed, ledger.received) == (3, 3, 3, 3)


def test_a_confirmed_message_that_never_arrives_is_lost() -> None:
    ledger = settle(one_queue(*received("0/0", "0/2")))
    assert only(ledger, "lost", 1)
    assert ledger.verdict == "invalid"
    assert texts(ledger.broken) == ["lost 1 confirmed messages"]
    assert ledger.examples == {"lost": ["0/1"]}


def test_a_loss_that_the_channel_declares_is_counted_and_allowed() -> None:
    ledger = settle(one_queue(*received("0/0")), may_lose=True)
    assert only(ledger, "lost", 2)
    assert ledger.verdict == "valid"


def test_an_unconfirmed_message_that_does_not_arrive_is_not_lost() -> None:
    ledger = settle(one_queue(*received("0/0"), confirmed=1))
    assert (ledger.lost, ledger.recovered, ledger.verdict) == (0, 0, "valid")


def test_an_unconfirmed_message_that_arrives_is_recovered() -> None:
    ledger = settle(one_queue(*received("0/0", "0/1"), confirmed=1))
    assert (ledger.recovered, ledger.unexpected, ledger.verdict) == (1, 0, "valid")


def test_a_message_that_arrives_again_is_duplicated() -> None:
    ledger = settle(one_queue(*received("0/0", "0/1", "0/1", "0/2"), consumers=1))
    assert only(ledger, "duplicated", 1)
    assert texts(ledger.broken) == ["delivered 1 messages again"]
    assert ledger.examples == {"duplicated": ["0/1"]}


def test_a_message_that_two_consumers_of_a_queue_get_is_duplicated() -> None:
    both = [*received("0/0", "0/1", "0/2"), *received("0/1", consumer=1)]
    ledger = settle(one_queue(*both, consumers=2))
    assert only(ledger, "duplicated", 1)
    assert ledger.examples == {"duplicated": ["0/1"]}


def test_duplicates_are_allowed_where_they_are_declared() -> None:
    again = one_queue(*received("0/0", "0/1", "0/2", "0/2"))
    assert settle(again, may_duplicate=True).verdict == "valid"


@pytest.mark.parametrize("stray", ["0/3", "1/0", "65535/0", "0/18446744073709551615"])
def test_a_message_that_nobody_sent_is_unexpected(stray: str) -> None:
    ledger = settle(one_queue(*received("0/0", "0/1", "0/2", stray)), may_lose=True, may_duplicate=True)
    assert only(ledger, "unexpected", 1)
    assert ledger.verdict == "invalid"
    assert texts(ledger.broken) == ["delivered 1 messages that nobody sent"]
    assert len(ledger.examples["unexpected"]) == 1


def test_a_receipt_whose_bytes_were_changed_is_corrupted_and_counts_as_no_delivery() -> None:
    damaged = Receipt(0, 0, 1, intact=False)
    ledger = settle(one_queue(*received("0/0"), damaged, *received("0/2")))
    assert (ledger.corrupted, ledger.lost, ledger.verdict) == (1, 1, "invalid")
    assert "delivered 1 corrupted messages" in texts(ledger.broken)
    assert ledger.examples["corrupted"] == ["receipt 1 at consumer 0"]


def test_a_corrupted_receipt_breaks_every_guarantee() -> None:
    damaged = Receipt(0, 0, 0, intact=False)
    ledger = settle(one_queue(damaged), may_lose=True, may_duplicate=True, ordered=False)
    assert ledger.verdict == "invalid"


def test_a_message_after_a_later_one_of_its_producer_is_reordered() -> None:
    ledger = settle(one_queue(*received("0/0", "0/2", "0/1")))
    assert only(ledger, "reordered", 1)
    assert texts(ledger.broken) == ["delivered 1 messages out of their producer's order"]
    assert ledger.examples == {"reordered": ["0/1 after 0/2 at consumer 0"]}


def test_order_is_not_judged_once_a_message_was_delivered_again_as_is_declared() -> None:
    again = one_queue(*received("0/0", "0/1", "0/0", "0/2"))
    ledger = settle(again, may_duplicate=True)
    assert (ledger.duplicated, ledger.reordered, ledger.verdict) == (1, 1, "valid")
    assert settle(again).verdict == "invalid"


def test_any_order_will_do_where_none_is_declared() -> None:
    ledger = settle(one_queue(*received("0/2", "0/1", "0/0")), ordered=False)
    assert (ledger.reordered, ledger.verdict) == (2, "valid")


def test_order_is_per_producer_and_per_consumer_and_no_more() -> None:
    mixed = [*received("0/0", "1/1", "0/2"), *received("1/0", "0/1", consumer=1)]
    history = History([3, 2], [3, 2], 2, False, mixed)
    assert settle(history).verdict == "valid"


def test_with_fan_out_every_consumer_is_owed_every_message() -> None:
    both = [*received("0/0", "0/1"), *received("0/0", "0/1", consumer=1)]
    ledger = settle(History([2], [2], 2, True, both))
    assert (ledger.owed, ledger.received, ledger.verdict) == (4, 4, "valid")


def test_with_fan_out_a_message_that_one_consumer_misses_is_lost() -> None:
    ledger = settle(History([2], [2], 2, True, [*received("0/0", "0/1"), *received("0/0", consumer=1)]))
    assert only(ledger, "lost", 1)
    assert ledger.examples == {"lost": ["0/1"]}


def test_with_fan_out_a_copy_too_many_at_one_consumer_is_duplicated_though_another_misses_one() -> None:
    ledger = settle(History([1], [1], 2, True, received("0/0", "0/0")))
    assert (ledger.duplicated, ledger.lost) == (1, 1)


def test_at_most_three_examples_of_an_anomaly_are_kept_and_none_twice() -> None:
    many = one_queue(*received(*["0/0"] * 5, "0/1", "0/1"), attempted=10, confirmed=10)
    ledger = settle(many, cuts=range(1, 7))
    assert ledger.examples == {"duplicated": ["0/0", "0/1"], "lost": ["0/2", "0/3", "0/4"]}


def test_a_message_may_arrive_more_often_than_a_byte_can_count() -> None:
    ledger = settle(one_queue(*received(*["0/0"] * 1000), attempted=1, confirmed=1), cuts=range(0, 1000, 90))
    assert (ledger.duplicated, ledger.received, ledger.lost) == (999, 1000, 0)


def test_nothing_attempted_is_valid() -> None:
    ledger = settle(History([0], [0], 1, False, []))
    assert (ledger.verdict, ledger.attempted, ledger.owed) == ("valid", 0, 0)


def test_more_confirmed_than_attempted_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="more messages were confirmed than attempted"):
        DeliveryCheck([1], [2], consumers=1)


def test_once_tells_the_confirmed_messages_that_arrived_exactly_once() -> None:
    check = check_of(one_queue(*received("0/0", "0/1", "0/1", "0/2", "0/7"), confirmed=2))
    asked = np.array([0, 1, 2, 7]), np.array([0, 0, 0, 0])
    assert check.once(0, asked[1], asked[0]).tolist() == [True, False, False, False]


@st.composite
def histories(draw: st.DrawFn) -> History:
    attempted = draw(st.lists(st.integers(0, 12), min_size=1, max_size=3))
    confirmed = [draw(st.integers(0, count)) for count in attempted]
    consumers = draw(st.integers(1, 3))
    receipt = st.builds(
        Receipt,
        consumer=st.integers(0, consumers - 1),
        producer=st.integers(0, len(attempted)),
        sequence=st.integers(0, 13) | st.integers(2**63 - 2, 2**64 - 1),
        intact=st.integers(0, 9).map(bool),
    )
    # Mostly what was sent, in order, with something wrong here and there: pure noise would never be valid.
    proper = [
        Receipt(draw(st.integers(0, consumers - 1)), producer, sequence)
        for producer, count in enumerate(attempted)
        for sequence in range(count)
    ]
    noise = draw(st.lists(receipt, max_size=8))
    everything = [*proper, *noise]
    if draw(st.booleans()):
        everything = draw(st.permutations(everything))
    return History(attempted, confirmed, consumers, draw(st.booleans()), everything)


@dataclass
class PlainLedger:
    """The same ledger, kept a message at a time with dictionaries."""

    history: History

    def counts(self) -> dict[str, int]:
        h = self.history
        groups = range(h.consumers) if h.fan_out else [0]
        seen: Counter[tuple[int, int, int]] = Counter()
        newest: dict[tuple[int, int], int] = defaultdict(lambda: -1)
        found = Counter(dict.fromkeys(ANOMALIES, 0))
        for r in h.receipts:
            if not r.intact:
                found["corrupted"] += 1
            elif r.producer >= len(h.attempted) or r.sequence >= h.attempted[r.producer]:
                found["unexpected"] += 1
            else:
                seen[r.consumer if h.fan_out else 0, r.producer, r.sequence] += 1
                lane = r.consumer, r.producer
                found["reordered"] += r.sequence < newest[lane]
                newest[lane] = max(newest[lane], r.sequence)
        found["duplicated"] = sum(times - 1 for times in seen.values())
        found["lost"] = sum(
            (group, producer, sequence) not in seen
            for group in groups
            for producer, count in enumerate(h.confirmed)
            for sequence in range(count)
        )
        found["recovered"] = sum(sequence >= h.confirmed[producer] for _, producer, sequence in seen)
        found["received"] = len(h.receipts)
        found["attempted"], found["confirmed"] = sum(h.attempted), sum(h.confirmed)
        found["owed"] = sum(h.confirmed) * len(groups)
        return dict(found)

    def late_once(self) -> int:
        """Late receipts of messages that came once: order is promised while nothing is delivered again."""
        h = self.history
        known = [
            r
            for r in h.receipts
            if r.intact and r.producer < len(h.attempted) and r.sequence < h.attempted[r.producer]
        ]
        group = {id(r): r.consumer if h.fan_out else 0 for r in known}
        times = Counter((group[id(r)], r.producer, r.sequence) for r in known)
        newest: dict[tuple[int, int], int] = defaultdict(lambda: -1)
        late = 0
        for r in known:
            lane = r.consumer, r.producer
            late += r.sequence < newest[lane] and times[group[id(r)], r.producer, r.sequence] == 1
            newest[lane] = max(newest[lane], r.sequence)
        return late


def counts_of(ledger: Ledger) -> dict[str, int]:
    names = (*ANOMALIES, "recovered", "received", "attempted", "confirmed", "owed")
    return {name: getattr(ledger, name) for name in names}


@given(history=histories(), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_the_counts_are_those_of_a_plain_ledger_however_the_receipts_are_fed(
    history: History, cuts: list[int]
) -> None:
    whole, in_parts = settle(history), settle(history, [min(c, len(history.receipts)) for c in cuts])
    assert counts_of(whole) == PlainLedger(history).counts()
    assert counts_of(in_parts) == counts_of(whole)
    assert (in_parts.verdict, in_parts.broken) == (whole.verdict, whole.broken)


@given(history=histories(), may_lose=st.booleans(), may_duplicate=st.booleans(), ordered=st.booleans())
def test_the_verdict_follows_from_the_counts_and_what_is_declared(
    history: History, may_lose: bool, may_duplicate: bool, ordered: bool
) -> None:
    ledger = settle(history, may_lose=may_lose, may_duplicate=may_duplicate, ordered=ordered)
    offences = [
        ledger.lost and not may_lose,
        ledger.duplicated and not may_duplicate,
        ordered and (PlainLedger(history).late_once() if may_duplicate else ledger.reordered),
        ledger.unexpected,
        ledger.corrupted,
    ]
    assert (ledger.verdict == "invalid") == any(offences)
    assert len(ledger.broken) == sum(map(bool, offences))


@given(history=histories(), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_every_anomaly_has_an_example_and_every_example_is_one(history: History, cuts: list[int]) -> None:
    ledger = settle(history, [min(c, len(history.receipts)) for c in cuts])
    plain = Counter(f"{r.producer}/{r.sequence}" for r in history.receipts if r.intact)
    for anomaly in ANOMALIES:
        examples = ledger.examples.get(anomaly, [])
        assert bool(examples) == bool(getattr(ledger, anomaly))
        assert len(examples) == len(set(examples)) <= 3
    assert all(plain[name] > 1 for name in ledger.examples.get("duplicated", []))
    confirmed = {f"{p}/{s}" for p, count in enumerate(history.confirmed) for s in range(count)}
    assert confirmed.issuperset(ledger.examples.get("lost", []))
    assert all(plain[name] for name in ledger.examples.get("unexpected", []))


@given(history=histories())
def test_a_message_is_good_once_or_it_is_not(history: History) -> None:
    check = check_of(history)
    arrived = Counter(
        (r.consumer if history.fan_out else 0, r.producer, r.sequence) for r in history.receipts if r.intact
    )
    for r in history.receipts:
        expected = (
            r.producer < len(history.confirmed)
            and r.sequence < history.confirmed[r.producer]
            and arrived[r.consumer if history.fan_out else 0, r.producer, r.sequence] == 1
        )
        answer = check.once(r.consumer, np.array([r.producer], np.uint16), np.array([r.sequence], np.uint64))
        assert answer.tolist() == [expected]


def test_what_had_not_come_when_a_trial_was_cut_short_is_unaccounted_for_and_not_lost() -> None:
    cut_short = of_unfinished(settle(one_queue(*received("0/0", "0/2")), may_lose=True))

    assert (cut_short.lost, cut_short.unaccounted, cut_short.verdict) == (0, 1, "unknown")
    assert (cut_short.broken, cut_short.examples) == ([], {})
    assert of_unfinished(cut_short) == cut_short


def test_a_breach_that_was_seen_before_a_trial_was_cut_short_stays() -> None:
    again = settle(one_queue(*received("0/0", "0/1", "0/1")), may_lose=True)
    proven = settle(one_queue(*received("0/0", "0/2")))

    cut_short = of_unfinished(again)
    assert (cut_short.lost, cut_short.unaccounted, cut_short.verdict) == (0, 1, "invalid")
    assert texts(cut_short.broken) == ["delivered 1 messages again"]
    assert of_unfinished(proven) == proven


@pytest.mark.parametrize(
    ("drops", "words"),
    [
        (Drops(3, 3), None),
        (Drops(1, None), None),
        (Drops(2, 2), "lost 3 confirmed messages, the server evicted 2 items during the trial"),
        (
            Drops(9, 0),
            "lost 3 confirmed messages, the server evicted 9 items during the trial, none of them of the lab",
        ),
    ],
)
def test_a_loss_is_excused_only_as_far_as_the_servers_drops_explain_it(
    drops: Drops, words: str | None
) -> None:
    history = History([5], [5], 1, False, [Receipt(0, 0, 0), Receipt(0, 0, 4)])
    ledger = check_of(history).settle(may_lose=False, may_duplicate=False, ordered=True, drops=drops)
    assert ledger.lost == 3
    assert texts(ledger.broken) == ([] if words is None else [words])
