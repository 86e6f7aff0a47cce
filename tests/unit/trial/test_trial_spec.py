"""What a trial may be: each impossible request gives one clear line and the right class of error."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.backends.registry import Variant, channel_names, counter_names
from ipclab.errors import IpclabError, MessageTooLargeError, UnknownNameError, UsageError
from ipclab.trial.check import check
from ipclab.trial.spec import TrialSpec


def a_trial(backend: str = "queue", workload: Any = "stream", **settings: Any) -> TrialSpec:
    return TrialSpec(workload=workload, backend=Variant.parse(backend), **settings)


IMPOSSIBLE: list[tuple[TrialSpec, type[IpclabError], str]] = [
    (a_trial("qeue"), UnknownNameError, "no channel is called 'qeue'; did you mean queue"),
    (a_trial("valu", "counter"), UnknownNameError, "no counter is called 'valu'; did you mean value"),
    (a_trial("rabbitmq:akc=auto"), UnknownNameError, "no option of channel rabbitmq is called 'akc'"),
    (a_trial("rabbitmq:ack=never"), UsageError, "channel rabbitmq: ack must be one of"),
    (a_trial("queue:depth=3"), UsageError, "channel queue has no options, so depth=3 cannot be set"),
    (a_trial("value:discipline=brave", "counter"), UsageError, "discipline must be one of"),
    (a_trial("pipe", consumers=2), UsageError, "pipe takes 1 consumer, so 1→2 is impossible"),
    (a_trial("pipe", producers=2), UsageError, "pipe takes 1 producer, so 2→1 is impossible"),
    (a_trial(producers=0), UsageError, "producers must be a number above 0, not 0"),
    (a_trial(consumers=-1), UsageError, "consumers must be a number above 0, not -1"),
    (a_trial(window=0), UsageError, "window must be a number above 0, not 0"),
    (a_trial(max_backlog=0), UsageError, "max_backlog must be a number above 0"),
    (a_trial(duration_s=0), UsageError, "duration_s must be a number above 0"),
    (a_trial(duration_s=math.nan), UsageError, "duration_s must be a number above 0, not nan"),
    (a_trial(duration_s=math.inf), UsageError, "duration_s must be a number above 0, not inf"),
    (a_trial(drain_s=0), UsageError, "drain_s must be a number above 0"),
    (a_trial(grace_s=-1), UsageError, "grace_s must be a number above 0"),
    (a_trial(warmup_s=-0.1), UsageError, "warmup_s must be a number not below 0"),
    (a_trial(warmup_s=math.nan), UsageError, "warmup_s must be a number not below 0, not nan"),
    (a_trial("value", "register", warmup_s=0), UsageError, "warmup_s must be a number above 0"),
    (a_trial("value", "lock", warmup_s=0), UsageError, "warmup_s must be a number above 0"),
    (a_trial(warmup_s=2000, duration_s=1601), UsageError, "at most 3600 s, not 3601 s"),
    (a_trial(producers=256), UsageError, "at most 255 producers, not 256"),
    (a_trial(consumers=256), UsageError, "at most 255 consumers, not 256"),
    (a_trial(size_bytes=15), UsageError, "needs 16 bytes for its header, so size 15 is too small"),
    (a_trial(size_bytes=2**28 + 1), MessageTooLargeError, "268435456 bytes at most, so 268435457 is too"),
    (a_trial("memcached-ticket", size_bytes=2**21), MessageTooLargeError, "memcached-ticket carries"),
    (a_trial(window=10), UsageError, "queue has no window: use --window 1"),
    (a_trial("redis-list", window=10_001), UsageError, "a window holds 10000 messages at most"),
    (a_trial("redis-list", window=10_000, size_bytes=65_536), UsageError, "a window holds 268435456 bytes"),
    (a_trial(workload="ping-pong", consumers=2), UsageError, "a ping-pong is between two processes"),
    (a_trial(workload="ping-pong", producers=2), UsageError, "a ping-pong is between two processes"),
    (
        a_trial("simple-queue", "paced", rate_per_s=5, window=10),
        UsageError,
        "simple-queue has no window",
    ),
    (a_trial(workload="paced"), UsageError, "a paced trial needs one"),
    (a_trial(workload="stream", rate_per_s=5), UsageError, "a rate belongs to a paced trial"),
    (a_trial(workload="paced", rate_per_s=0), UsageError, "rate_per_s must be a number above 0"),
    (a_trial(workload="paced", rate_per_s=-5), UsageError, "rate_per_s must be a number above 0"),
    (a_trial(workload="paced", rate_per_s=math.inf), UsageError, "rate_per_s must be a number above 0"),
    (a_trial(workload="paced", rate_per_s=1e12), UsageError, "10000000 messages at most"),
]


@pytest.mark.parametrize(("spec", "kind", "line"), IMPOSSIBLE, ids=[line for _, _, line in IMPOSSIBLE])
def test_an_impossible_trial_is_refused_in_one_clear_line(
    spec: TrialSpec, kind: type[IpclabError], line: str
) -> None:
    with pytest.raises(IpclabError) as caught:
        check(spec)
    assert type(caught.value) is kind
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", channel_names())
@pytest.mark.parametrize(("workload", "rate"), [("stream", None), ("paced", 100.0), ("ping-pong", None)])
def test_every_channel_can_do_one_to_one(name: str, workload: Any, rate: float | None) -> None:
    check(a_trial(name, workload, rate_per_s=rate))


@pytest.mark.parametrize("name", counter_names())
def test_every_counter_can_be_raced(name: str) -> None:
    check(a_trial(name, "counter", producers=4))


def test_the_size_of_a_message_means_nothing_to_a_counter() -> None:
    check(a_trial("value", "counter", size_bytes=8))


def test_zero_warm_up_is_possible() -> None:
    check(a_trial(warmup_s=0))


def test_the_largest_trial_that_is_promised_is_possible() -> None:
    check(a_trial(producers=255, consumers=255, size_bytes=2**28, warmup_s=0, duration_s=3600))
    check(a_trial("redis-list", window=10_000, size_bytes=1024))
    check(a_trial(workload="paced", rate_per_s=1_000_000, warmup_s=0, duration_s=10))


def test_the_backlog_is_bounded_in_messages_and_in_bytes() -> None:
    assert a_trial(size_bytes=64).backlog == 1000
    assert a_trial(size_bytes=2**20).backlog == 16
    assert a_trial(size_bytes=2**28).backlog == 1


numbers = st.floats() | st.integers(-(2**40), 2**40)


@given(
    producers=st.integers(),
    consumers=st.integers(),
    size=st.integers(),
    window=st.integers(),
    warmup=numbers,
    duration=numbers,
    rate=st.none() | numbers,
    workload=st.sampled_from(["stream", "paced", "ping-pong", "counter"]),
    backend=st.sampled_from(["pipe", "queue", "redis-list"]),
)
def test_whatever_is_asked_for_the_answer_is_yes_or_one_line(
    producers: int,
    consumers: int,
    size: int,
    window: int,
    warmup: float,
    duration: float,
    rate: float | None,
    workload: Any,
    backend: str,
) -> None:
    spec = a_trial(
        backend,
        workload,
        producers=producers,
        consumers=consumers,
        size_bytes=size,
        window=window,
        warmup_s=warmup,
        duration_s=duration,
        rate_per_s=rate,
    )
    refusals = []
    try:
        check(spec)
    except (UsageError, MessageTooLargeError) as error:
        refusals.append(str(error))
    assert not any("\n" in line for line in refusals)


def test_a_spec_survives_being_stored() -> None:
    spec = a_trial("rabbitmq:ack=manual,prefetch=10", "paced", rate_per_s=10.0, seed=4)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TrialSpec) == spec


def test_a_stored_spec_with_a_field_too_many_is_refused() -> None:
    stored = msgspec.to_builtins(a_trial())
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**stored, "colour": "red"}, TrialSpec)
