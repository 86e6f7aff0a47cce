"""The plan of a run: which trials, in which order, and what is left out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

import pytest

from ipclab import experiment
from ipclab.backends.registry import Variant, channel_names, counter_names
from ipclab.errors import UnknownNameError, UsageError
from ipclab.experiment import UNSAFE_CHANNELS, Experiment, Request
from ipclab.trial import workloads
from ipclab.trial.spec import Leg, TrialSpec
from ipclab.trial.study import Slo


def request(*backends: str, **settings: object) -> Request:
    return Request(backends=tuple(Variant.parse(b) for b in backends), **settings)  # type: ignore[arg-type]


def shapes(asked: Request, repeat: int) -> Iterator[TrialSpec]:
    """Each channel one to one and one to four."""
    for backend in asked.channels():
        for consumers in (1, 4):
            yield asked.trial(workload="stream", backend=backend, consumers=consumers)


SHAPES = Experiment(name="shapes", question="Does the plan hold?", trials=shapes, repeats=3)


def shown(trials: Iterable[TrialSpec]) -> list[str]:
    return [f"{t.backend} {t.shape} #{t.repeat}" for t in trials]


def test_repeats_are_interleaved_over_the_backends() -> None:
    plan = SHAPES.plan(request("queue", "simple-queue", consumers=1))
    assert shown(plan.trials) == [
        f"{backend} 1→1 #{repeat}" for repeat in range(3) for backend in ("queue", "simple-queue")
    ]


def test_the_number_of_repeats_can_be_asked_for() -> None:
    assert len(SHAPES.plan(request("queue", consumers=1, repeats=7)).trials) == 7


def test_of_a_sweep_what_a_backend_cannot_do_is_left_out_with_its_reason_once() -> None:
    plan = SHAPES.plan(request("pipe", "queue"))
    assert {t.shape for t in plan.trials if t.backend.name == "pipe"} == {"1→1"}
    assert plan.left_out == [("pipe", "pipe takes 1 consumer, so 1→4 is impossible")]


def test_a_backend_asked_for_by_name_that_can_do_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="pipe takes 1 consumer, so 1→2 is impossible"):
        SHAPES.plan(request("pipe", consumers=2))
    with pytest.raises(UsageError, match="pipe takes 1 consumer"):
        SHAPES.plan(request("queue", "pipe", consumers=2))


def test_a_backend_that_was_not_asked_for_by_name_is_left_out_instead() -> None:
    plan = SHAPES.plan(request(consumers=2))
    assert ("pipe", "pipe takes 1 consumer, so 1→2 is impossible") in plan.left_out
    assert "pipe" not in {t.backend.name for t in plan.trials}


def test_trials_that_an_option_makes_the_same_are_run_once() -> None:
    plan = SHAPES.plan(request("queue", consumers=2, repeats=1))
    assert shown(plan.trials) == ["queue 1→2 #0"]


def test_a_backend_that_is_named_twice_is_measured_once() -> None:
    assert len(SHAPES.plan(request("queue", "queue", consumers=1, repeats=1)).trials) == 1


def test_a_counter_that_can_do_nothing_says_why() -> None:
    with pytest.raises(UsageError, match="a trial has at most 255 producers, not 300"):
        experiment.load("race").plan(request("value", producers=300))


def test_an_unknown_backend_ends_the_plan_with_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="no backend is called 'qeue'; did you mean queue"):
        SHAPES.plan(request("qeue"))


def test_an_unknown_option_of_a_backend_ends_the_plan() -> None:
    with pytest.raises(UnknownNameError, match="no option of rabbitmq is called 'akc'"):
        SHAPES.plan(request("rabbitmq:akc=auto"))


def test_an_experiment_that_has_nothing_to_do_with_a_backend_says_so() -> None:
    with pytest.raises(UsageError, match="the experiment shapes has nothing to measure on value"):
        SHAPES.plan(request("value"))


def test_a_backend_that_an_experiment_cannot_use_is_named_though_another_is_used() -> None:
    with pytest.raises(UsageError, match="the experiment shapes has nothing to measure on value"):
        SHAPES.plan(request("queue", "value"))


def test_a_counter_is_spread_over_its_disciplines_unless_one_is_chosen() -> None:
    spread = {str(v) for v in request("value").counters()}
    assert spread == {"value:discipline=naive", "value:discipline=locked"}
    assert [str(v) for v in request("value:discipline=naive").counters()] == ["value:discipline=naive"]


@pytest.mark.parametrize(
    ("backend", "faces"),
    [
        ("redis", ["counter", "register", "lock"]),
        ("redis:discipline=watch", ["counter", "register"]),
        ("redis:discipline=fenced", ["lock"]),
        ("redis:discipline=incr", ["counter"]),
        ("redis:ttl_ms=100", ["lock"]),
        ("memcached:discipline=get-set", ["counter", "register", "lock"]),
        ("value:discipline=lock", ["lock"]),
        ("rabbitmq:discipline=token", ["counter", "lock"]),
        ("manager-dict", ["channel", "counter", "register", "lock"]),
    ],
)
def test_a_discipline_says_what_the_backend_is_used_as(backend: str, faces: list[str]) -> None:
    assert experiment.faces(Variant.parse(backend)) == faces


def test_the_race_takes_what_fits_a_discipline_and_forces_it_too() -> None:
    plan = experiment.load("race").plan(request("redis:discipline=watch", repeats=1))
    assert [(t.workload, workloads.face(t), t.producers) for t in plan.trials] == [
        ("counter", "counter", 2),
        ("counter", "counter", 4),
        ("register", "register", 4),
        ("forced", "counter", 2),
        ("forced", "register", 2),
    ]


def test_a_forced_race_is_always_between_two_and_takes_no_time_of_its_own() -> None:
    plan = experiment.load("race").plan(
        request("value", repeats=1, producers=7, duration_s=9.0, warmup_s=1.0)
    )
    assert {(t.producers, t.duration_s) for t in plan.trials if t.workload == "forced"} == {(2, 0.1)}
    assert {(t.producers, t.duration_s) for t in plan.trials if t.workload != "forced"} == {(7, 9.0)}


def test_no_order_is_forced_among_the_messages_of_one_producer() -> None:
    order = experiment.load("order")
    for producers, scenarios in ((1, {"stress"}), (2, {"stress", "forced"})):
        plan = order.plan(request("queue", producers=producers))
        assert {t.scenario for t in plan.trials} == scenarios


def test_a_discipline_that_no_face_has_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(UsageError, match="redis: discipline must be one of get-set, multi"):
        experiment.load("race").plan(request("redis:discipline=brave"))


def test_the_race_forces_every_discipline_that_it_puts_under_load() -> None:
    plan = experiment.load("race").plan(request(repeats=1))
    loaded = {(workloads.face(t), str(t.backend)) for t in plan.trials if t.workload != "forced"}
    assert loaded == {(workloads.face(t), str(t.backend)) for t in plan.trials if t.workload == "forced"}


@pytest.mark.parametrize(
    ("backend", "channels", "counters"),
    [
        ("pipe", 1, 1),
        ("rabbitmq:ack=manual", 1, 0),
        ("rabbitmq:discipline=token", 0, 1),
        ("pipe:discipline=owner", 0, 1),
        ("simple-queue", 1, 0),
    ],
)
def test_an_option_says_whether_a_channel_or_a_counter_of_that_name_is_meant(
    backend: str, channels: int, counters: int
) -> None:
    asked = request(backend)
    assert (len(asked.channels()), len(asked.counters())) == (channels, counters)


def test_the_default_experiment_takes_a_channel_with_options_though_a_counter_has_its_name() -> None:
    plan = experiment.load("comparison").plan(request("rabbitmq:ack=manual,prefetch=10"))
    assert {str(t.backend) for t in plan.trials} == {"rabbitmq:ack=manual,prefetch=10"}


def test_all_channels_and_counters_take_part_unless_some_are_named() -> None:
    assert {v.name for v in Request().channels()} == set(channel_names()) - set(UNSAFE_CHANNELS)
    assert {v.name for v in Request().counters()} == set(counter_names())


def test_what_the_user_asks_for_overrides_the_experiment() -> None:
    asked = request(producers=3, consumers=2, size_bytes=99, duration_s=0.5, warmup_s=0.0, seed=9)
    spec = asked.trial(workload="stream", backend=Variant("queue"), producers=1, size_bytes=64)
    assert (spec.shape, spec.size_bytes, spec.duration_s, spec.warmup_s, spec.seed) == ("3→2", 99, 0.5, 0, 9)


def test_a_rate_goes_to_paced_trials_and_a_size_never_to_counters() -> None:
    asked = request(rate_per_s=50.0, size_bytes=99)
    assert asked.trial(workload="stream", backend=Variant("queue")).rate_per_s is None
    assert asked.trial(workload="paced", backend=Variant("queue"), rate_per_s=1).rate_per_s == 50
    assert asked.trial(workload="counter", backend=Variant("value")).size_bytes == 1024


@pytest.mark.parametrize("name", ["comparison", "latency"])
def test_latency_is_measured_in_several_repeats(name: str) -> None:
    plan = experiment.load(name).plan(request("pipe"))
    paced = Counter(trial.rate_per_s for trial in plan.trials if trial.workload == "paced")
    assert paced
    assert min(paced.values()) >= 3


def test_a_window_never_goes_to_trials_that_send_one_message_at_a_time() -> None:
    for workload in ("crash", "order"):
        assert request(window=100).trial(workload=workload, backend=Variant("redis-list")).window == 1


@pytest.mark.parametrize("workload", ["crash", "order", "client", "forced"])
def test_a_length_never_goes_to_trials_that_last_as_long_as_what_they_do(workload: str) -> None:
    spec = request(duration_s=60.0, warmup_s=9.0).trial(workload=workload, backend=Variant("queue"))
    assert (spec.duration_s, spec.warmup_s) == (3.0, 0.5)


@pytest.mark.parametrize("workload", ["stream", "paced", "ping-pong", "counter", "register", "lock"])
def test_a_length_goes_to_all_trials_that_are_measured(workload: str) -> None:
    spec = request(duration_s=60.0, warmup_s=9.0).trial(workload=workload, backend=Variant("queue"))
    assert (spec.duration_s, spec.warmup_s) == (60.0, 9.0)


@pytest.mark.parametrize("workload", ["crash", "order"])
def test_a_size_never_goes_to_trials_that_have_sizes_of_their_own(workload: str) -> None:
    assert request(size_bytes=65536).trial(workload=workload, backend=Variant("queue")).size_bytes == 1024


@pytest.mark.parametrize(
    ("name", "backend", "asked", "line"),
    [
        (
            "throughput",
            "pipe",
            {"rate_per_s": 100.0},
            "with these options throughput sends nothing at a given rate: "
            "leave out --rate, or use the experiment latency",
        ),
        ("round_trip", "pipe", {"rate_per_s": 100.0}, "leave out --rate"),
        ("comparison", "value", {"rate_per_s": 100.0}, "leave out --rate"),
        ("comparison", "redis-list", {"rate_per_s": 100.0, "window": 10}, "leave out --rate"),
        (
            "latency",
            "pipe",
            {"faults": ("kill",)},
            "with these options latency has no faults: leave out --fault, or use the experiment crash",
        ),
        ("order", "queue", {"targets": ("consumer",)}, "leave out --target, or use the experiment crash"),
        (
            "crash",
            "queue",
            {"size_bytes": 65536},
            "with these options crash has no message size to choose: "
            "leave out --size, or use the experiment throughput",
        ),
        ("order", "queue", {"size_bytes": 64}, "leave out --size"),
        ("client", "queue", {"size_bytes": 64}, "leave out --size"),
        ("race", "value", {"size_bytes": 64}, "leave out --size"),
        ("comparison", "value", {"size_bytes": 64}, "leave out --size"),
        ("race", "value", {"window": 1}, "with these options race has no window: leave out --window"),
        ("client", "queue", {"window": 1}, "leave out --window"),
        ("race", "value", {"consumers": 2}, "with these options race has no consumers to choose"),
        ("client", "queue", {"producers": 2}, "with these options client has no producers to choose"),
        (
            "crash",
            "redis-stream",
            {"window": 10},
            "with these options crash has no window: leave out --window",
        ),
        (
            "order",
            "redis-stream",
            {"window": 10},
            "with these options order has no window: leave out --window",
        ),
        (
            "crash",
            "queue",
            {"duration_s": 60.0},
            "with these options crash has no length to choose: "
            "leave out --duration, or use the experiment throughput",
        ),
        ("order", "queue", {"duration_s": 60.0}, "leave out --duration"),
        ("client", "queue", {"duration_s": 60.0}, "leave out --duration"),
        (
            "crash",
            "queue",
            {"warmup_s": 9.0},
            "with these options crash has no warm-up: leave out --warmup, or use the experiment throughput",
        ),
        ("order", "queue", {"warmup_s": 0.0}, "leave out --warmup"),
        ("client", "queue", {"warmup_s": 9.0}, "leave out --warmup"),
    ],
)
def test_what_no_trial_has_a_use_for_is_refused(
    name: str, backend: str, asked: dict[str, object], line: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(line)):
        experiment.load(name).plan(request(backend, **asked))


@pytest.mark.parametrize(
    ("name", "backend", "asked"),
    [
        ("comparison", "pipe", {"rate_per_s": 100.0, "size_bytes": 64}),
        ("round_trip", "pipe", {"size_bytes": 64}),
        ("crash", "redis-stream", {"faults": ("kill",), "targets": ("consumer",)}),
        ("order", "redis-stream", {"consumers": 1}),
        ("race", "value", {"producers": 3}),
        ("comparison", "redis-list", {"window": 10}),
    ],
)
def test_what_some_trial_has_a_use_for_is_taken(name: str, backend: str, asked: dict[str, object]) -> None:
    assert experiment.load(name).plan(request(backend, **asked)).trials


def test_where_all_trials_at_a_rate_are_impossible_it_says_why() -> None:
    # Its other trials are possible, and have no use for a rate.
    with pytest.raises(UsageError, match="a paced trial has 10000000 messages at most"):
        experiment.load("comparison").plan(request("queue", rate_per_s=1e12))


@pytest.mark.parametrize("name", ["comparison", "latency", "payload", "race", "round_trip", "throughput"])
def test_every_experiment_that_measures_takes_a_length(name: str) -> None:
    assert experiment.load(name).plan(request(duration_s=1.0, warmup_s=0.5, repeats=1)).trials


@pytest.mark.parametrize("name", experiment.names())
def test_every_experiment_takes_a_seed(name: str) -> None:
    assert experiment.load(name).plan(request(seed=2, repeats=1)).trials


@pytest.mark.parametrize("name", experiment.names())
def test_every_experiment_of_the_lab_has_a_question_and_a_plan(name: str) -> None:
    found = experiment.load(name)
    assert found.name == name
    assert found.question.endswith("?")
    plan = found.plan(Request())
    repeats = [repeat for repeat, _ in groupby(plan.trials, key=lambda t: t.repeat)]
    assert repeats == list(range(found.repeats))


def test_the_default_experiment_is_listed_first() -> None:
    assert experiment.names()[0] == "comparison"
    assert {"throughput", "latency", "round_trip", "race"} <= set(experiment.names())


def test_the_default_experiment_measures_every_channel_and_every_discipline() -> None:
    plan = experiment.load("comparison").plan(Request())
    assert {t.backend.name for t in plan.trials if t.workload == "stream"} == set(channel_names()) - set(
        UNSAFE_CHANNELS
    )
    raced = {str(t.backend) for t in plan.trials if t.workload == "counter"}
    assert raced == {str(v) for v in Request().counters()}


def test_an_unknown_experiment_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="no experiment is called 'latencey'; did you mean latency"):
        experiment.load("latencey")


def test_a_plan_without_a_course_runs_its_trials_in_their_order() -> None:
    plan = SHAPES.plan(request("queue", consumers=1))
    course = plan.course(plan.trials)
    seen: list[TrialSpec] = []
    while (spec := course.next()) is not None:
        assert list(course.coming()) == plan.trials[len(seen) :]
        seen.append(spec)
        course.skip()
    assert seen == plan.trials


def test_the_course_of_an_experiment_begins_with_the_trials_that_are_possible() -> None:
    plan = experiment.load("capacity").plan(request("queue", "simple-queue", size_bytes=64, repeats=2))
    course = plan.course(plan.trials)
    machine = course.next()
    assert machine is not None
    assert machine.study is not None
    assert (machine.study.part, machine.backend.name) == ("machine", "pipe")
    course.skip()
    assert course.next() == plan.trials[0]
    assert {spec.size_bytes for spec in course.coming()} == {64}


@pytest.mark.parametrize(
    ("name", "settings", "line"),
    [
        ("capacity", {"rate_per_s": 5.0}, "leave out --rate"),
        ("curve", {"slo": Slo.parse("p99=10ms")}, "leave out --slo"),
        ("round_trip", {"arrivals": "constant"}, "leave out --arrivals"),
        ("capacity", {"legs": (Leg(rate_per_s=5, seconds=1),)}, "leave out --variable-rate"),
        ("latency", {"legs": (Leg(rate_per_s=5, seconds=1),), "duration_s": 1.0}, "leave out --duration"),
    ],
)
def test_what_a_study_chooses_itself_cannot_be_asked_for(
    name: str, settings: dict[str, object], line: str
) -> None:
    with pytest.raises(UsageError, match=line):
        experiment.load(name).plan(request("pipe", **settings))


def test_a_rate_that_varies_is_one_trial_as_long_as_its_parts() -> None:
    legs = (Leg(rate_per_s=100, seconds=10.0), Leg(rate_per_s=500, seconds=5.0))
    (spec,) = experiment.load("latency").plan(request("pipe", legs=legs, repeats=1)).trials
    assert (spec.duration_s, spec.rate_per_s, tuple(spec.legs)) == (15.0, 3500 / 15, legs)
