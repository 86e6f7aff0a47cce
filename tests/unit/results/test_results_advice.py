"""What follows from a group of the safety table: what was seen is said, its opposite is not."""

import pytest

from ipclab.report import advice
from ipclab.results.safety.suffered import gather
from tests.support.safety import AT_MOST_ONCE, DURABLE, crash

BUFFERED = AT_MOST_ONCE | {"confirm": "buffered"}


def sentences(*trials):
    return advice.derive([gather([trial]) for trial in trials])


SAID = [
    ("kill consumer, busy", {"counts": {"lost": 1}}, "acknowledged once the work is done"),
    ("pause consumer, busy", {"counts": {"lost": 1}}, "A consumer that stood still missed messages"),
    (
        "cut consumer, busy",
        {"counts": {"lost": 1}, "declared": AT_MOST_ONCE | {"fan_out": True}},
        "A subscriber does not get what was sent while it could not listen",
    ),
    ("kill consumer, busy", {"counts": {"duplicated": 1}}, "make the work harmless to repeat"),
    ("kill producer, busy", {"counts": {"lost": 1}, "declared": BUFFERED}, "in the producer's own memory"),
    ("kill producer, busy", {"counts": {"lost": 1}}, "did not outlive the fault of their producer"),
    ("drop-reply producer, busy", {"counts": {"duplicated": 1}}, "sending again makes a second copy"),
    ("kill broker, busy", {"counts": {"lost": 1}}, "What a broker holds in memory goes with it"),
    (
        "restart broker, busy",
        {"counts": {"lost": 1}, "settings": {"appendonly": "yes"}},
        "A broker that keeps messages on disk lost some all the same",
    ),
    ("cut broker, busy", {"counts": {"lost": 1}}, "did not answer for a while cost messages"),
    ("fill-memory broker, busy", {"counts": {"lost": 1}}, "let it refuse instead of evict"),
    ("pause broker, busy", {"counts": {"duplicated": 1}}, "did not know to be settled"),
    ("kill consumer, busy", {"counts": {"reordered": 1}}, "Order did not outlive the fault"),
    ("kill producer, mid-message", {"counts": {"corrupted": 1}}, "What arrived was not what was sent"),
    (
        "kill consumer, idle",
        {"hung": {"c": "Queue.get"}},
        "Others never came back from Queue.get (redis-list)",
    ),
    ("kill broker, idle", {"gave_up": {"c": "EOFError: x"}}, "Processes ended with EOFError (redis-list)"),
    (
        "kill consumer, busy",
        {"counts": {"lost": 1}, "broken": ["lost 1 confirmed message"], "declared": DURABLE},
        "Do not rely on redis-list",
    ),
]


@pytest.mark.parametrize(("fault", "found", "sentence"), SAID, ids=[said for _, _, said in SAID])
def test_a_sentence_is_said_where_its_thing_was_seen_and_not_where_it_was_not(fault, found, sentence):
    assert any(sentence in line for line in sentences(crash(fault=fault, **found)))
    declared = {name: found[name] for name in ("declared", "settings") if name in found}
    assert not any(sentence in line for line in sentences(crash(fault=fault, **declared)))


@pytest.mark.parametrize("how", [{"declared": DURABLE}, {"settings": {"appendonly": "yes"}}])
def test_a_broker_kill_that_kept_everything_says_nothing_about_a_power_cut(how):
    kill = "kill broker, busy"
    line = "that says nothing about a power cut"
    assert any(line in said for said in sentences(crash(fault=kill, **how)))
    assert not any(line in said for said in sentences(crash(fault=kill, counts={"lost": 1}, **how)))
    assert not any(line in said for said in sentences(crash(fault=kill)))
    assert not any(line in said for said in sentences(crash(fault="pause broker, busy", **how)))
    assert not any(line in said for said in sentences(crash(fault=kill, counts={"confirmed": 0}, **how)))


def test_a_loss_that_breaks_is_no_reason_for_advice_on_declared_ones():
    found = {"counts": {"lost": 1}, "broken": ["lost 1 confirmed message"], "declared": DURABLE}
    (line,) = sentences(crash(**found))
    assert "what is declared there did not hold" in line


def test_where_all_was_kept_that_is_said_and_that_it_is_no_proof():
    (line,) = sentences(crash(), crash("redis-stream"))
    assert line == (
        "Nothing was lost, repeated or stuck in 2 trials; other timings may show what these did not."
    )
    assert not any("Nothing was lost" in said for said in sentences(crash(), crash(counts={"lost": 1})))


def test_nothing_follows_from_nothing():
    assert advice.derive([]) == []
    assert sentences(crash(refused="not ours")) == []


def test_of_many_rows_the_first_are_named():
    trials = [crash(name, counts={"lost": 1}) for name in ("a", "b", "c", "d", "e")]
    (line,) = sentences(*trials)
    assert "(a; b; c and 2 more)" in line


def test_a_subscriber_is_not_told_to_acknowledge():
    (line,) = sentences(crash(counts={"lost": 1}, declared=AT_MOST_ONCE | {"fan_out": True}))
    assert "acknowledge" not in line
