"""The fault matrix on channels without a broker: what hangs in which primitive, and what is lost."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Guarantees, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.manager.channels import ManagerQueueChannel
from ipclab.checks.breach import texts
from ipclab.checks.verify import check
from ipclab.history import read
from ipclab.host import segments
from ipclab.host.start_methods import StartMethod
from ipclab.trial import strike
from ipclab.trial.scenes import crash
from tests.support import faulty
from tests.support.crashes import play, play_order, safety_of

pytestmark = [
    pytest.mark.timeout(90, method="signal"),
    pytest.mark.usefixtures("nothing_left", "no_file_left"),
]
QUICK = {"grace_s": 0.4, "drain_s": 0.2}
"""Enough, as a slow process is waited for in any case."""


@pytest.fixture
def no_file_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trials leave no folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("ipclab-*"))


@pytest.mark.parametrize("repeat", range(2))
def test_a_consumer_killed_while_it_waits_in_get_takes_the_read_lock_with_it_every_time(repeat: int) -> None:
    safety = safety_of(play("queue", "kill consumer, idle", **QUICK))

    assert safety.hung == dict.fromkeys(("consumer-1", "consumer-2"), "Queue.get (read lock)")
    # Of those that were sent after it nothing came.
    assert safety.counts["undelivered"] == 80
    assert (safety.verdict, safety.finding) == ("valid", "")


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("socketpair", "kill consumer, idle"),
        ("shm-ring", "kill producer, busy"),
        ("listener-unix", "kill producer, mid-message"),
        ("listener-tcp", "kill consumer, busy"),
        ("sqlite", "kill consumer, idle"),
    ],
)
def test_a_channel_without_a_lock_goes_on_when_a_process_is_killed(backend: str, words: str) -> None:
    safety = safety_of(play(backend, words, **QUICK))

    assert (safety.hung, safety.gave_up, safety.broken) == ({}, {}, [])
    assert safety.verdict == "valid"
    assert safety.counts["duplicated"] == safety.counts["corrupted"] == safety.counts["reordered"] == 0
    assert safety.counts["confirmed"] > 80
    if "producer" in words:
        assert safety.counts["lost"] == 0
    assert not list(segments.FOLDER.glob(f"{segments.prefix()}*"))


HANGS = {
    ("joinable-queue", "kill consumer, idle"): {"Queue.get (read lock)"},
    ("queue", "kill producer, mid-message"): {"Queue._feed (write lock)", "Queue.get (in Connection._recv)"},
    ("simple-queue", "kill producer, mid-message"): {
        "SimpleQueue.put (write lock)",
        "SimpleQueue.get (in Connection._recv)",
    },
    ("simple-queue", "kill consumer, idle"): {"SimpleQueue.get (read lock)"},
    ("pipe-locked", "kill consumer, idle"): {"Lock.acquire (in LockedPipeConsumer._receive_one)"},
    ("pipe-locked", "kill producer, mid-message"): {"Lock.acquire (in LockedPipeProducer.send)"},
}


@pytest.mark.parametrize(("backend", "words"), HANGS)
def test_who_waits_for_what_a_dead_process_holds_hangs_in_it(
    backend: str, words: str, tmp_path: Path
) -> None:
    record = play(backend, words, **QUICK, history=tmp_path / "history.jsonl.gz")

    safety = safety_of(record)
    assert HANGS[backend, words] <= set(safety.hung.values())
    assert record.stuck.keys() == safety.hung.keys()
    # What is undecided says why.
    assert (safety.verdict == "unknown") == ("nobody could receive" in safety.finding)
    assert all("most recent call first" in stack for stack in record.stuck.values())
    (fault,) = read(tmp_path / "history.jsonl.gz").faults
    assert fault.f == "kill"


@pytest.mark.parametrize("moment", ["idle", "busy", "working", "mid-message"])
@pytest.mark.parametrize("action", ["kill", "terminate"])
def test_whoever_is_left_at_a_pipe_is_told_that_the_other_is_gone_as_in_a_plain_program(
    action: str, moment: str
) -> None:
    no_writer = safety_of(play("pipe", f"{action} producer, {moment}", **QUICK))
    no_reader = safety_of(play("pipe", f"{action} consumer, {moment}", **QUICK))

    assert (no_writer.hung, no_writer.finding, no_writer.verdict) == ({}, "", "valid")
    assert no_writer.gave_up == {"consumer-0": "EOFError"}
    assert no_writer.counts["lost"] == no_writer.counts["corrupted"] == 0
    assert (no_reader.hung, no_reader.finding, no_reader.verdict) == ({}, "", "valid")
    assert no_reader.gave_up.keys() == {"producer-0"}
    assert "BrokenPipeError" in no_reader.gave_up["producer-0"]


def test_a_message_for_a_getter_that_was_killed_in_a_manager_s_queue_vanishes(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl.gz"
    for _ in range(2):
        safety = safety_of(play("manager-queue", "kill consumer, idle", **QUICK, history=path))

        assert (safety.counts["lost"], safety.hung, safety.verdict) == (1, {}, "valid")
        assert check(read(path), guarantee="exactly-once").anomalies == {"lost": 1}


def test_processes_end_with_an_error_when_the_server_of_their_manager_is_killed() -> None:
    safety = safety_of(play("manager-list", "kill broker, busy", **QUICK))

    assert safety.gave_up.keys() == {"producer-0", "producer-1", "consumer-0", "consumer-1"}
    assert all("Error" in error for error in safety.gave_up.values())
    assert (safety.hung, safety.counts["lost"]) == ({}, 0)
    assert safety.counts["undelivered"] >= strike.AT_REST


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("queue", "pause consumer, mid-message"),
        ("pipe", "pause producer, mid-message"),
        ("manager-dict", "pause broker, mid-message"),
        ("simple-queue", "kill producer, idle"),
    ],
)
def test_what_breaks_nothing_is_kept(backend: str, words: str) -> None:
    safety = safety_of(play(backend, words))

    assert (safety.verdict, safety.broken, safety.finding) == ("valid", [], "")
    assert not safety.hung
    assert not safety.gave_up
    wrong = ("lost", "duplicated", "corrupted", "unexpected", "received_before_sent")
    assert [safety.counts[name] for name in wrong] == [0] * len(wrong)
    assert safety.counts["received"] == safety.counts["confirmed"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start_method", "backend", "hung", "lost"),
    [
        ("spawn", "simple-queue", {"SimpleQueue.get (read lock)"}, 0),
        ("forkserver", "manager-queue", set(), 1),
    ],
)
def test_workers_that_are_no_forks_suffer_the_same(
    start_method: StartMethod, backend: str, hung: set[str], lost: int
) -> None:
    safety = safety_of(play(backend, "kill consumer, idle", start_method=start_method, **QUICK))

    assert set(safety.hung.values()) == hung
    assert safety.counts["lost"] == lost


class FaultyChannel(faulty.FaultyChannel):
    """Declares that it loses nothing but what dies with a consumer."""

    @property
    def guarantees(self) -> Guarantees:
        return replace(super().guarantees, may_lose=frozenset({"consumer crash"}))


class HonestChannel(SimpleQueueChannel):
    name = "honest"


class ForgetfulChannel(ManagerQueueChannel):
    """Loses some messages long after all was well, when it may lose one that a consumer held."""

    name = "forgetful"

    def producer(self, index: int) -> Producer:
        return _Forgetful(super().producer(index))


class StallingChannel(SimpleQueueChannel):
    """Loses a message, and then one of its producers hangs."""

    name = "stalling"

    def producer(self, index: int) -> Producer:
        return _Stalling(super().producer(index), index)


class _Stalling(Producer):
    def __init__(self, producer: Producer, index: int) -> None:
        self._producer, self._index, self._count = producer, index, 0

    def send(self, body: bytes) -> None:
        self._count += 1
        if self._index == 1 and self._count == 40:
            faulty.hang_for_ever()
        if (self._index, self._count) != (1, 30):
            self._producer.send(body)


class _Forgetful(Producer):
    def __init__(self, producer: Producer) -> None:
        self._producer, self._count = producer, 0

    def send(self, body: bytes) -> None:
        self._count += 1
        if self._count < 100 or self._count % 50:
            self._producer.send(body)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are backends for this test, and a warm-up that does not come is not waited for."""
    every = {c.name: c for c in (FaultyChannel, HonestChannel, ForgetfulChannel, StallingChannel)}
    every |= registry._channels()
    monkeypatch.setattr(registry, "_channels", lambda: every)
    monkeypatch.setattr(crash, "WAIT_S", 1.0)


SEEDED = {
    "drop": "lost",
    "duplicate": "again",
    "swap": "out of their producer's order",
    "corrupt tail": "whose bytes were damaged",
    "corrupt header": "whose bytes were damaged",
    "phantom": "that nobody sent",
}
CONSUMERS = dict.fromkeys(SEEDED, 2) | {"swap": 1}
"""Of what was swapped, two may happen to take one each."""


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("bug", SEEDED)
def test_a_seeded_bug_is_caught_by_name_whatever_else_fails(bug: str) -> None:
    record = play(f"faulty:fault={bug}", "kill producer, busy", consumers=CONSUMERS[bug], **QUICK)

    safety = safety_of(record)
    assert safety.verdict == "invalid"
    assert any(SEEDED[bug] in line for line in texts(safety.broken))
    assert safety.counterexample


@pytest.mark.usefixtures("known")
def test_losses_are_not_hidden_behind_a_consumer_that_was_killed_and_held_one_message() -> None:
    safety = safety_of(play("forgetful", "kill consumer, busy", **QUICK))

    lost = safety.counts["lost"]
    assert lost > 6
    assert texts(safety.broken) == [f"lost {lost} confirmed messages, where 1 can have been held"]
    assert safety.verdict == "invalid"


@pytest.mark.usefixtures("known")
def test_a_loss_is_not_hidden_behind_a_producer_that_hangs() -> None:
    safety = safety_of(play("stalling", "pause producer, busy", **QUICK))

    assert safety.hung.keys() == {"producer-1"}
    assert (safety.verdict, texts(safety.broken)) == ("invalid", ["lost 1 confirmed message"])


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("bug", SEEDED)
def test_a_seeded_bug_is_caught_by_name_where_nothing_fails_at_all(bug: str) -> None:
    safety = safety_of(play_order(f"faulty:fault={bug}", "stress", consumers=CONSUMERS[bug], **QUICK))

    assert safety.verdict == "invalid"
    assert any(SEEDED[bug] in line for line in texts(safety.broken))


@pytest.mark.usefixtures("known")
def test_an_honest_channel_is_not_accused() -> None:
    killed = safety_of(play("honest", "kill producer, busy", **QUICK))
    stress = safety_of(play_order("honest", "stress", producers=2, consumers=2, **QUICK))

    assert (killed.verdict, killed.broken) == ("valid", [])
    assert (stress.verdict, stress.broken) == ("valid", [])


@pytest.mark.usefixtures("known")
def test_what_nobody_was_left_to_receive_is_not_called_lost() -> None:
    safety = safety_of(play_order("faulty:fault=consumer gives up", "stress", **QUICK))

    assert (safety.verdict, safety.broken, safety.counts["lost"]) == ("unknown", [], 0)
    assert safety.counts["undelivered"] > 0
    assert safety.gave_up == {"consumer-0": "OSError: the seeded fault"}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("workload", ["crash", "order"])
def test_a_server_that_is_too_old_for_a_channel_ends_its_trial_and_not_the_run(workload: str) -> None:
    backend = "faulty:fault=server too old"
    record = (
        play(backend, "kill producer, busy", **QUICK)
        if workload == "crash"
        else play_order(backend, "stress", **QUICK)
    )

    assert (record.outcome, record.reason) == ("failed", "faulty needs a newer server")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc to count open files in")
def test_a_trial_closes_every_file_that_it_opened() -> None:
    play("simple-queue", "kill producer, busy", **QUICK)
    before = open_files()
    play("simple-queue", "kill producer, busy", **QUICK)
    assert open_files() <= before


def open_files() -> int:
    """How many files are open, without those of objects that nothing refers to."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("backend", ["queue", "manager-list"])
def test_nothing_is_called_a_hang_for_being_slower_than_it_was_given_time(backend: str) -> None:
    safety = safety_of(play(backend, "pause producer, busy", grace_s=0.001, drain_s=0.001))

    assert (safety.verdict, safety.hung, safety.gave_up) == ("valid", {}, {})
    assert safety.counts["received"] == safety.counts["confirmed"] > 0
