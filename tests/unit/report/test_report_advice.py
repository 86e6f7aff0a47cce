"""The advice below a group of the safety table: a sentence for each effect that was seen, and no other."""

import pytest

from ipclab.report import advice
from ipclab.results.safety.suffered import gather
from tests.support.safety import AT_MOST_ONCE, DURABLE, crash

BUFFERED = AT_MOST_ONCE | {"confirm": "buffered"}


def sentences(*trials):
    return advice.derive([gather([trial]) for trial in trials])


LOST, TWICE = {"counts": {"lost": 1}}, {"counts": {"duplicated": 1}}
ON_DISK = {"settings": {"appendonly": "yes"}}
SAID = [
    ("kill consumer, busy", LOST, "When a consumer ends, the messages that were handed to it are lost"),
    ("terminate consumer, busy", LOST, "When a consumer ends, the messages that were handed to it are lost"),
    ("cut consumer, busy", LOST, "When a consumer loses its connection, the messages that were on their way"),
    ("pause consumer, busy", LOST, "A consumer that is paused misses messages"),
    (
        "cut consumer, busy",
        LOST | {"declared": AT_MOST_ONCE | {"fan_out": True}},
        "A subscriber does not get messages that are published while it cannot receive",
    ),
    ("kill consumer, busy", TWICE, "messages that it has not acknowledged are delivered again"),
    ("pause consumer, busy", TWICE, "messages that it has not acknowledged can be delivered again"),
    ("kill producer, busy", LOST | {"declared": BUFFERED}, "messages in its own buffer are lost"),
    ("kill producer, busy", LOST, "When a producer ends, messages that it has sent can be lost"),
    ("cut producer, busy", LOST, "When a producer loses its connection, messages that it has sent"),
    ("pause producer, busy", LOST, "Messages of a paused producer are lost"),
    ("drop-reply producer, busy", TWICE, "sending the message again makes a second copy"),
    ("kill broker, busy", LOST, "When the broker ends, the messages in its memory are lost"),
    ("restart broker, busy", LOST | ON_DISK, "A broker that writes messages to disk lost some when it ended"),
    (
        "kill broker, busy",
        LOST | {"declared": DURABLE | {"may_lose": ["broker crash"], "confirm": "broker"}},
        "A broker confirmed messages before they were on its disk",
    ),
    ("pause broker, busy", LOST, "Messages were lost while the broker was paused"),
    ("cut broker, busy", LOST, "Messages were lost with the connections to the broker"),
    ("fill-memory broker, busy", LOST, "A full broker dropped messages that it had accepted"),
    ("pause broker, busy", TWICE, "Messages whose acknowledgement did not reach the broker"),
    ("kill consumer, busy", {"counts": {"reordered": 1}}, "arrived out of order after the fault"),
    ("kill producer, mid-message", {"counts": {"corrupted": 1}}, "Messages arrived damaged"),
    (
        "kill consumer, idle",
        {"hung": {"c": "Queue.get"}},
        "Other processes did not return from Queue.get (redis-list)",
    ),
    ("kill broker, idle", {"gave_up": {"c": "EOFError: x"}}, "Processes ended with EOFError (redis-list)"),
    (
        "kill consumer, busy",
        LOST | {"broken": ["lost 1 confirmed message"], "declared": DURABLE},
        "Do not rely on redis-list",
    ),
]


@pytest.mark.parametrize(
    ("fault", "found", "sentence"), SAID, ids=[f"{fault}: {said}" for fault, _, said in SAID]
)
def test_a_sentence_is_said_where_its_thing_was_seen_and_not_where_it_was_not(fault, found, sentence):
    assert any(sentence in line for line in sentences(crash(fault=fault, **found)))
    declared = {name: found[name] for name in ("declared", "settings") if name in found}
    assert not any(sentence in line for line in sentences(crash(fault=fault, **declared)))


@pytest.mark.parametrize("how", [{"declared": DURABLE}, {"settings": {"appendonly": "yes"}}])
def test_a_broker_kill_that_kept_everything_says_nothing_about_a_power_cut(how):
    kill = "kill broker, busy"
    line = "A kill is no power failure"
    assert any(line in said for said in sentences(crash(fault=kill, **how)))
    assert not any(line in said for said in sentences(crash(fault=kill, counts={"lost": 1}, **how)))
    assert not any(line in said for said in sentences(crash(fault=kill)))
    assert not any(line in said for said in sentences(crash(fault="pause broker, busy", **how)))
    assert not any(line in said for said in sentences(crash(fault=kill, counts={"confirmed": 0}, **how)))


def test_a_loss_that_breaks_is_no_reason_for_advice_on_declared_ones():
    found = {"counts": {"lost": 1}, "broken": ["lost 1 confirmed message"], "declared": DURABLE}
    (line,) = sentences(crash(**found))
    assert "a guarantee that is declared there did not hold" in line


def test_where_all_was_kept_that_is_said_and_that_it_is_no_proof():
    (line,) = sentences(crash(), crash("redis-stream"))
    assert line == (
        "No message was lost or repeated and no process hung in 2 trials; "
        "other timings may still show a fault."
    )
    assert not any("No message was lost" in said for said in sentences(crash(), crash(counts={"lost": 1})))


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
