"""Whether a trial is possible: the limits on every spec, and those that its workload adds."""

from __future__ import annotations

import math
import re

from ipclab.backends.base import Channel
from ipclab.backends.declared import guarantees_of
from ipclab.backends.registry import channel_class, shared_class, task_class
from ipclab.errors import MessageTooLargeError, UsageError
from ipclab.payload.codecs import largest_body_bytes
from ipclab.trial import check_machines, workloads
from ipclab.trial.check_payload import refuse_unfit
from ipclab.trial.check_work import require_possible
from ipclab.trial.message import MOST_PRODUCERS, SMALLEST_BYTES
from ipclab.trial.spec import (
    LONGEST_S,
    MOST_BYTES,
    MOST_CONSUMERS,
    MOST_PACED,
    MOST_WINDOW,
    SHORTEST_S,
    TrialSpec,
)


def check(spec: TrialSpec) -> None:
    """Refuse a trial that is impossible. Raise UsageError, UnknownNameError or MessageTooLargeError."""
    _check_numbers(spec)
    if spec.placement:
        check_machines.check(spec)
    face = workloads.face(spec)
    if face == "task":
        task_class(spec.backend).versions()
        return
    if face != "channel":
        shared_class(face, spec.backend)
        return
    channel = channel_class(spec.backend)
    _check_shape(spec, channel)
    _check_size(spec, channel)
    _check_payload(spec, channel)
    if spec.window > 1 and not channel.windowed:
        raise UsageError(f"{spec.backend} has no window: use --window 1")
    require_possible(spec, channel)


def _check_numbers(spec: TrialSpec) -> None:
    for name in ("producers", "consumers", "window", "max_backlog", "duration_s", "drain_s", "grace_s"):
        _check_positive(name, getattr(spec, name))
    if not 0 <= spec.warmup_s < math.inf:
        raise UsageError(f"warmup_s must be a number not below 0, not {spec.warmup_s}")
    if spec.duration_s < SHORTEST_S:
        raise UsageError(f"the measured window lasts at least {SHORTEST_S} s, not {spec.duration_s:g} s")
    if spec.warmup_s + spec.duration_s > LONGEST_S:
        whole_s = spec.warmup_s + spec.duration_s
        raise UsageError(f"warm-up and window together last at most {LONGEST_S} s, not {whole_s:g} s")
    if spec.producers > MOST_PRODUCERS:
        raise UsageError(f"a trial has at most {MOST_PRODUCERS} producers, not {spec.producers}")
    if spec.consumers > MOST_CONSUMERS:
        raise UsageError(f"a trial has at most {MOST_CONSUMERS} consumers, not {spec.consumers}")
    if workloads.face(spec) == "channel" and spec.size_bytes < SMALLEST_BYTES:
        raise UsageError(
            f"a message needs {SMALLEST_BYTES} bytes for its header, so size {spec.size_bytes} is too small"
        )
    if spec.window > MOST_WINDOW:
        raise UsageError(f"a window holds {MOST_WINDOW} messages at most, not {spec.window}")
    workloads.of(spec).check(spec)
    _check_rate(spec)


def _check_rate(spec: TrialSpec) -> None:
    if workloads.of(spec).open_loop != (spec.rate_per_s is not None):
        raise UsageError("a rate belongs to a paced trial, and a paced trial needs one")
    if spec.rate_per_s is None:
        return
    _check_positive("rate_per_s", spec.rate_per_s)
    _check_schedule(spec)
    messages = spec.rate_per_s * (spec.warmup_s + spec.duration_s)
    if messages > MOST_PACED:
        raise UsageError(
            f"a paced trial has {MOST_PACED} messages at most, not {messages:g}: "
            f"lower the rate or the duration"
        )


def _check_schedule(spec: TrialSpec) -> None:
    """Refuse arrivals that nothing knows, and legs that do not add up to the rate and the duration."""
    if re.fullmatch(r"constant|poisson|burst:[1-9]\d{0,6}", spec.arrivals) is None:
        raise UsageError(f"arrivals are constant, poisson or burst:N, not {spec.arrivals!r}")
    for leg in spec.legs:
        _check_positive("the rate of a leg", leg.rate_per_s)
        _check_positive("the time of a leg", leg.seconds)
    if spec.legs and not math.isclose(sum(leg.seconds for leg in spec.legs), spec.duration_s):
        raise UsageError("the times of a varying rate are its duration: leave out --duration")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise UsageError(f"{name} must be a number above 0, not {value}")


def _check_shape(spec: TrialSpec, channel: type[Channel]) -> None:
    for role, wanted, most in (
        ("producer", spec.producers, channel.max_producers),
        ("consumer", spec.consumers, channel.max_consumers),
    ):
        if most is not None and wanted > most:
            raise UsageError(
                f"{channel.name} takes {most} {role}{'s' if most > 1 else ''}, so {spec.shape} is impossible"
            )


def _check_payload(spec: TrialSpec, channel: type[Channel]) -> None:
    if not spec.is_plain:
        if "payload" not in workloads.of(spec).options:
            raise UsageError(f"the workload {spec.workload} sends bytes of its own, and no payloads")
        refuse_unfit(spec, channel, fan_out=guarantees_of(channel, spec.backend.options).fan_out)


def _check_size(spec: TrialSpec, channel: type[Channel]) -> None:
    largest = guarantees_of(channel, spec.backend.options).max_message_bytes
    if "size_bytes" not in workloads.of(spec).options:
        # The workload chooses the sizes of its messages itself, within what the channel carries.
        if largest is not None and largest < SMALLEST_BYTES:
            raise MessageTooLargeError(
                f"{channel.name} carries messages of {largest} bytes at most, and the lab's header alone has "
                f"{SMALLEST_BYTES}"
            )
        return
    body_bytes = largest_body_bytes(spec.codec, spec.size_bytes) if spec.codec else spec.size_bytes
    if largest is not None and body_bytes > largest:
        raise MessageTooLargeError(
            f"{channel.name} carries messages of {largest} bytes at most, so {spec.size_bytes} is too large"
        )
    if spec.size_bytes > MOST_BYTES:
        raise MessageTooLargeError(
            f"a trial has messages of {MOST_BYTES} bytes at most, so {spec.size_bytes} is too large"
        )
    if spec.size_bytes * spec.window > MOST_BYTES:
        raise UsageError(
            f"a window holds {MOST_BYTES} bytes at most, so {spec.window} messages of {spec.size_bytes} "
            f"bytes are too many"
        )
