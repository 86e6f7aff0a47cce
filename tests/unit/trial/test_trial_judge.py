"""From logs to a verdict: each kind of damage breaks the declaration that rules it out, and no other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipclab.backends.base import Guarantees, Site
from ipclab.backends.registry import Variant
from ipclab.brokers.kinds.redis.trial_settings import under
from ipclab.checks.breach import Breach, texts
from ipclab.checks.drops import Drops
from ipclab.checks.verify import check
from ipclab.history import ProcessLog
from ipclab.history.log import FaultLog
from ipclab.trial import judge
from ipclab.trial.logged import CORRUPTED, SEQUENCES
from ipclab.trial.safety import Stage
from ipclab.trial.spec import TrialSpec
from tests.support.crashes import fault

STRICT = Guarantees(
    delivery="at-most-once",
    may_lose=frozenset(),
    order="per-producer",
    durability="none",
    confirm="broker",
    reach="network",
)
AT_LEAST_ONCE = replace(STRICT, delivery="at-least-once")
SENT = (0, 1, 2, 3)
CAUSE = "consumer crash"


def stage(folder: Path, words: str = "kill consumer, busy") -> Stage:
    spec = TrialSpec(workload="crash", backend=Variant("queue"), fault=fault(words) if words else None)
    return Stage(spec=spec, site=Site(namespace="ipclab:unit"), folder=folder, broker=None, history=None)


def counts_of(folder: Path, received: Sequence[Any], *, early: bool = False, **header: Any) -> dict[str, int]:
    """What the check counts where one producer's messages 0 to 3 were confirmed and this was received."""
    ticks = itertools.count().__next__
    where = stage(folder)
    names = ("consumer-0", "producer-0") if early else ("producer-0", "consumer-0")
    for name in names:
        with ProcessLog(folder / f"{name}.history", name, clock=ticks) as log:
            for value in SENT if name == "producer-0" else received:
                if name == "producer-0":
                    log.invoke("send", value)
                    log.ok()
                else:
                    log.invoke("receive")
                    log.ok(value)
                    log.invoke("ack")
                    log.ok()
    logs = [folder / f"{name}.history" for name in (*names, "never-started")]
    history = judge.keep(where, judge.header(where, STRICT, "delivery", **header), logs)
    return dict(judge.strict(history, "delivery", 5.0).counts)


DAMAGES: dict[str, tuple[list[Any], str]] = {
    "drop": ([0, 1, 3], "lost 1 confirmed message"),
    "duplicate": ([0, 1, 1, 2, 3], "delivered 1 message again"),
    "swap": ([0, 2, 1, 3], "delivered 1 message out of their producer's order"),
    "phantom": ([0, 1, 2, 3, 7 * SEQUENCES], "delivered 1 message that nobody sent"),
    "corruption": ([0, 1, 2, CORRUPTED, 3], "delivered 1 message whose bytes were damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("in_fault", [True, False])
def test_each_damage_breaks_by_name_what_rules_it_out(damage: str, in_fault: bool, tmp_path: Path) -> None:
    received, says = DAMAGES[damage]
    counts = counts_of(tmp_path, received)

    assert texts(judge.promise(counts, STRICT, CAUSE, fault=in_fault)) == [says]


def test_a_receipt_before_its_send_breaks_any_declaration(tmp_path: Path) -> None:
    counts = counts_of(tmp_path, SENT, early=True)

    assert texts(judge.promise(counts, AT_LEAST_ONCE, CAUSE, fault=True)) == [
        "delivered 4 messages before they were sent"
    ]


@pytest.mark.parametrize("guarantees", [STRICT, AT_LEAST_ONCE])
def test_a_history_in_which_all_came_once_and_in_order_breaks_nothing(
    guarantees: Guarantees, tmp_path: Path
) -> None:
    assert judge.promise(counts_of(tmp_path, SENT), guarantees, None, fault=False) == []


@pytest.mark.parametrize(
    ("damage", "declared"),
    [
        ("drop", replace(STRICT, may_lose=frozenset({CAUSE}))),
        ("duplicate", AT_LEAST_ONCE),
        ("swap", replace(STRICT, order="none")),
        ("phantom", replace(STRICT, may_corrupt=frozenset({CAUSE}))),
        ("corruption", replace(STRICT, may_corrupt=frozenset({CAUSE}))),
    ],
)
def test_what_is_declared_breaks_nothing(damage: str, declared: Guarantees, tmp_path: Path) -> None:
    counts = counts_of(tmp_path, DAMAGES[damage][0])

    assert judge.promise(counts, declared, CAUSE, fault=True) == []


def test_a_loss_that_is_declared_is_bounded_by_what_the_victim_can_have_held(tmp_path: Path) -> None:
    declared = replace(STRICT, may_lose=frozenset({CAUSE}))
    counts = counts_of(tmp_path, [0, 3])

    assert judge.promise(counts, declared, CAUSE, fault=True, at_most=2) == []
    assert judge.promise(counts, declared, CAUSE, fault=True, at_most=None) == []
    assert texts(judge.promise(counts, declared, CAUSE, fault=True, at_most=1)) == [
        "lost 2 confirmed messages, where 1 can have been held"
    ]


@pytest.mark.parametrize("damage", ["drop", "corruption"])
def test_what_is_declared_for_one_cause_breaks_the_promise_after_another(damage: str, tmp_path: Path) -> None:
    declared = replace(STRICT, may_lose=frozenset({CAUSE}), may_corrupt=frozenset({CAUSE}))
    counts = counts_of(tmp_path, DAMAGES[damage][0])

    assert judge.promise(counts, declared, "broker crash", fault=True)
    assert judge.promise(counts, declared, None, fault=True)


def test_a_channel_that_delivers_again_keeps_order_only_where_nothing_failed(tmp_path: Path) -> None:
    for name in ("swapped", "again"):
        (tmp_path / name).mkdir()
    swapped = counts_of(tmp_path / "swapped", [0, 2, 1, 3])
    again = counts_of(tmp_path / "again", [0, 1, 2, 1, 3])

    assert judge.promise(swapped, AT_LEAST_ONCE, None, fault=False)
    assert not judge.promise(swapped, AT_LEAST_ONCE, None, fault=True)
    assert not judge.promise(again, AT_LEAST_ONCE, None, fault=False)


def test_a_kill_that_could_excuse_a_loss_does_not_hide_it(
    tmp_path: Path,
) -> None:
    log = FaultLog(tmp_path / "faults.history", clock=lambda: 1_000)
    log.moment("kill", "consumer-0")
    log.close()
    where = stage(tmp_path)
    counts_of(tmp_path, [0, 1, 3])
    logs = [tmp_path / f"{name}.history" for name in ("producer-0", "consumer-0", "faults")]
    history = judge.keep(where, judge.header(where, AT_LEAST_ONCE, "delivery", in_flight=1), logs)

    verdict = judge.strict(history, "delivery", 5.0)
    counts = verdict.counts

    assert (counts["lost"], counts["lost_excused"]) == (1, 0)
    assert verdict.counterexample is not None
    assert texts(judge.promise(counts, AT_LEAST_ONCE, CAUSE, fault=True)) == ["lost 1 confirmed message"]


def test_what_nobody_was_left_to_receive_is_not_called_lost_but_other_damage_counts(tmp_path: Path) -> None:
    counts = counts_of(tmp_path, [0, 1, 1])

    assert texts(judge.promise(counts, STRICT, CAUSE, fault=True, undelivered=True)) == [
        "delivered 1 message again"
    ]


def test_the_history_that_is_kept_is_checked_alike_by_itself(tmp_path: Path) -> None:
    counts_of(tmp_path, [0, 1, 3])
    where = stage(tmp_path)
    logs = [tmp_path / f"{name}.history" for name in ("producer-0", "consumer-0")]
    history = judge.keep(where, judge.header(where, AT_LEAST_ONCE, "delivery"), logs)

    verdict = check(history)

    assert (verdict.verdict, verdict.anomalies) == ("invalid", {"lost": 1})
    shown = judge.counterexample(history, verdict)
    assert shown.startswith("send 2 by producer-0 was confirmed and nobody received it\n")
    assert history.header.title == "crash: kill consumer, busy"


def test_a_history_without_damage_has_no_counterexample(tmp_path: Path) -> None:
    counts_of(tmp_path, SENT)
    where = stage(tmp_path)
    logs = [tmp_path / f"{name}.history" for name in ("producer-0", "consumer-0")]
    history = judge.keep(where, judge.header(where, STRICT, "delivery"), logs)

    assert judge.counterexample(history, judge.strict(history, "delivery", 5.0)) == ""


LOST = Breach(kind="lost", amount=1, text="lost 1 confirmed message")


@pytest.mark.parametrize(
    ("broken", "known", "word"),
    [([], True, "valid"), ([], False, "unknown"), ([LOST], True, "invalid"), ([LOST], False, "invalid")],
)
def test_what_broke_is_invalid_however_little_else_is_known(
    broken: list[Breach], known: bool, word: str
) -> None:
    assert judge.word(broken, known=known) == word


CRASHES = frozenset({"broker crash", "consumer crash"})
AOF = {"appendonly": "yes", "appendfsync": "always"}


@pytest.mark.parametrize(
    ("settings", "of", "may_lose", "durability"),
    [
        (AOF, {"delivery": "at-least-once"}, {"consumer crash"}, "disk"),
        # What was on its way to a consumer was popped, and the file says so.
        (AOF, {}, CRASHES, "disk"),
        (AOF, {"fan_out": True}, CRASHES, "none"),
        # An orderly restart costs nothing then; a crash may.
        ({"appendonly": "yes", "appendfsync": "no"}, {"delivery": "at-least-once"}, CRASHES, "disk"),
        ({"appendonly": "yes"}, {"delivery": "at-least-once"}, CRASHES, "disk"),
        ({"maxmemory-policy": "allkeys-lru"}, {}, CRASHES | {"overload"}, "none"),
        ({"maxmemory-policy": "noeviction"}, {}, CRASHES, "none"),
        ({"maxmemory-policy": "volatile-lru"}, {}, CRASHES, "none"),
        ({}, {}, CRASHES, "none"),
    ],
)
def test_what_a_server_is_set_to_changes_what_is_declared_on_it(
    settings: Mapping[str, str], of: Mapping[str, Any], may_lose: set[str], durability: str
) -> None:
    declared = under(replace(STRICT, may_lose=CRASHES, **of), settings)

    assert declared.may_lose == may_lose
    assert declared.durability == durability


def test_what_the_server_itself_dropped_is_excused_after_any_fault_and_nothing_beyond_it(
    tmp_path: Path,
) -> None:
    counts = counts_of(tmp_path, SENT[:-1])
    lost = counts["lost"]
    assert lost > 0
    for cause in (None, CAUSE, "overload"):
        for items, said in ((lost, []), (0, [f"lost {lost}"])):
            drops = Drops(items, items)
            found = texts(judge.promise(counts, AT_LEAST_ONCE, cause, fault=True, drops=drops))
            assert [text.partition(" confirmed")[0] for text in found] == said, (cause, items)
