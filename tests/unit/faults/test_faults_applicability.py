"""Every fault of every channel applies or has a reason, and the matrix has exactly those that apply."""

from __future__ import annotations

import itertools

import pytest

from ipclab import experiment
from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class, channel_names
from ipclab.experiment import Request
from ipclab.faults.applicability import kind_of, reason, why_not
from ipclab.faults.base import Kind
from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS, FaultSpec
from ipclab.trial.check import check
from tests.support.crashes import fault

EVERY = [
    FaultSpec(action=action, target=target, moment=moment)
    for action, target, moment in itertools.product(ACTIONS, TARGETS, MOMENTS)
]
BROKER, HELPER, PIPES = (
    Kind(broker=True, helper=False),
    Kind(broker=False, helper=True),
    Kind(broker=False, helper=False),
)
CRASH = experiment.load("crash")


def suffered(kind: Kind) -> set[tuple[str, str]]:
    """Actions and targets of what applies."""
    return {(fault.action, fault.target) for fault in EVERY if not reason(fault, kind)}


@pytest.mark.parametrize("kind", [PIPES, HELPER, BROKER])
def test_a_consumer_that_works_is_tried_with_every_action_and_target_that_is_tried_while_messages_flow(
    kind: Kind,
) -> None:
    at = {
        moment: {(f.action, f.target) for f in EVERY if f.moment == moment and not reason(f, kind)}
        for moment in ("busy", "working")
    }
    assert at["working"] == at["busy"] != set()


@pytest.mark.parametrize(
    ("kind", "pairs"),
    [
        (
            PIPES,
            "kill producer, kill consumer, terminate producer, terminate consumer, "
            "pause producer, pause consumer",
        ),
        (
            HELPER,
            "kill producer, kill consumer, kill broker, terminate producer, terminate consumer, "
            "terminate broker, pause producer, pause consumer, pause broker",
        ),
        (
            BROKER,
            "kill producer, kill consumer, kill broker, terminate producer, terminate consumer, "
            "pause producer, pause consumer, pause broker, restart broker, "
            "cut producer, cut consumer, cut broker, drop-reply producer, "
            "drop-reply consumer, fill-memory broker",
        ),
    ],
)
def test_what_applies_to_pipes_to_a_server_of_one_s_own_and_to_a_broker(kind: Kind, pairs: str) -> None:
    assert suffered(kind) == {tuple(pair.split()) for pair in pairs.split(", ")}


@pytest.mark.parametrize("kind", [PIPES, HELPER, BROKER])
@pytest.mark.parametrize("what", EVERY, ids=str)
def test_a_fault_that_does_not_apply_has_a_reason_of_one_line(what: FaultSpec, kind: Kind) -> None:
    why = reason(what, kind)

    assert "\n" not in why
    assert why == why.strip()
    assert len(why) < 90


@pytest.mark.parametrize("what", [f for f in EVERY if not reason(f, BROKER)], ids=str)
def test_every_fault_that_applies_has_a_cause_that_a_backend_can_declare(what: FaultSpec) -> None:
    assert what.target in what.fault.causes


def test_every_action_and_every_target_and_every_moment_applies_somewhere() -> None:
    applies = [f for f in EVERY if not reason(f, BROKER)]

    assert {f.action for f in applies} == set(ACTIONS)
    assert {f.target for f in applies} == set(TARGETS)
    assert {f.moment for f in applies} == set(MOMENTS)


@pytest.mark.parametrize("name", channel_names())
def test_the_matrix_has_exactly_the_faults_that_apply_to_a_channel(name: str) -> None:
    kind = kind_of(Variant(name))
    planned = CRASH.plan(Request(backends=(Variant(name),)))

    plain = [str(spec.fault) for spec in planned.trials if not spec.broker_settings]
    assert plain == [str(f) for f in EVERY if not reason(f, kind)]
    assert not planned.left_out


def test_the_default_matrix_has_every_channel_in_every_mode_and_each_cell_once() -> None:
    trials = CRASH.plan(Request()).trials

    assert {str(spec.backend) for spec in trials} == set(map(str, Request().channels()))
    assert len({repr(spec) for spec in trials}) == len(trials)
    assert not [spec for spec in trials if why_not(spec.fault, spec.backend)]
    for spec in trials:
        check(spec)


def test_no_reply_is_dropped_of_a_broker_that_gives_none() -> None:
    unconfirmed = kind_of(Variant.parse("rabbitmq:confirm=none"))

    assert "does not answer" in reason(fault("drop-reply producer, busy"), unconfirmed)
    assert reason(fault("drop-reply consumer, busy"), unconfirmed) == ""
    assert reason(fault("drop-reply producer, busy"), kind_of(Variant("rabbitmq"))) == ""


def test_settings_of_a_broker_are_tried_with_the_faults_that_they_bear_upon() -> None:
    trials = [spec for spec in CRASH.plan(Request()).trials if spec.broker_settings]

    assert {spec.backend.name for spec in trials} == {"redis-list", "redis-stream"}
    of = {
        name: {spec.fault.action for spec in trials if name in spec.broker_settings and spec.fault}
        for spec in trials
        for name in spec.broker_settings
    }
    assert of["appendonly"] == {"kill", "restart"}
    assert of["maxmemory-policy"] == {"fill-memory"}


@pytest.mark.parametrize(
    ("request_", "faults"),
    [
        (Request(faults=("kill",), targets=("consumer",)), {"kill consumer"}),
        (Request(faults=("cut",)), {"cut producer", "cut consumer", "cut broker"}),
        (Request(targets=("broker",), faults=("kill", "restart")), {"kill broker", "restart broker"}),
    ],
)
def test_the_matrix_is_cut_down_by_faults_and_targets(request_: Request, faults: set[str]) -> None:
    trials = CRASH.plan(request_).trials

    assert {str(spec.fault).partition(",")[0] for spec in trials} == faults


def test_a_trial_says_why_not_and_nothing_where_it_applies_or_cannot_be_told() -> None:
    assert "no network connection" in why_not(fault("cut consumer, busy"), Variant("queue"))
    assert why_not(fault("kill consumer, busy"), Variant("queue")) == ""
    assert why_not(None, Variant("queue")) == ""
    assert why_not(fault("cut consumer, busy"), Variant("from-a-package-that-is-not-here")) == ""


@pytest.mark.parametrize(
    ("variant", "what", "counts_as"),
    [
        ("redis-list", "cut producer, busy", None),
        ("redis-list", "drop-reply producer, busy", None),
        ("redis-list", "cut consumer, busy", "connection loss"),
        ("redis-list", "cut broker, busy", "connection loss"),
        ("rabbitmq:ack=manual,confirm=none", "cut producer, busy", "connection loss"),
        ("rabbitmq:ack=manual,confirm=none", "cut consumer, busy", None),
        ("redis-stream", "drop-reply consumer, busy", None),
        ("redis-list", "kill consumer, busy", "consumer crash"),
    ],
)
def test_a_lost_connection_may_cost_only_what_its_own_side_can_lose(
    variant: str, what: str, counts_as: str | None
) -> None:
    backend = Variant.parse(variant)
    channel = channel_class(backend)(Site(namespace="n"), **backend.options)

    spec = fault(what)
    assert spec.fault.excuses(spec.target, channel.guarantees) == counts_as
