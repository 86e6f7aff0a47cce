"""What one trial is to do. Frozen, comparable, and stored with its record."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ipclab.backends.base import Channel, Face, Site
from ipclab.backends.registry import Variant, channel_class, channel_names, shared_class
from ipclab.errors import MessageTooLargeError, UsageError
from ipclab.faults.spec import FaultSpec
from ipclab.host.start_methods import StartMethod
from ipclab.trial.message import MOST_PRODUCERS, SMALLEST_BYTES

MOST_BACKLOG_BYTES = 16 * 2**20
"""A server with little memory (memcached has 64 MB by default) must not be made to evict by the lab."""
MOST_CONSUMERS = 255
LONGEST_S = 3600
"""Of warm-up and window together; the histograms end there too."""
MOST_PACED = 10_000_000
"""Messages of a paced trial, whose schedule is drawn up beforehand."""
MOST_WINDOW = 10_000
MOST_BYTES = 2**28
"""In one message, and in all messages of one window."""

Workload = Literal[
    "stream", "paced", "ping-pong", "counter", "crash", "order", "register", "lock", "forced", "client"
]
FORCIBLE: tuple[Face, ...] = ("counter", "register", "lock")
SHARED_WORKLOADS: frozenset[Workload] = frozenset(("counter", "register", "lock", "forced"))
"""Of shared state, to which consumers, sizes and windows mean nothing."""
SAFETY_WORKLOADS: frozenset[Workload] = frozenset(("crash", "order", "register", "lock", "forced", "client"))
"""Not measured but watched: every operation is logged in a history, and the history is checked."""


class TrialSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measured run.

    ``workload``       ``stream``: closed loop, as fast as it goes; ``paced``: open loop at ``rate_per_s``;
                       ``ping-pong``: one message to and fro; ``counter``: ``producers`` processes increment
                       one number. The others are watched for safety: ``crash``: a channel suffers ``fault``;
                       ``order``: who overtakes whom; ``register``, ``lock``: processes race; ``forced``: two
                       processes are made to interleave; ``client``: a client library errs by itself.
    ``backend``        a channel, or for ``counter`` a counter, with its options.
    ``window``         messages between two flushes, and the most that a consumer takes at once.
    ``rate_per_s``     of all producers together; paced trials only.
    ``arrivals``       the gaps of a paced schedule: all the same, or exponentially distributed.
    ``max_backlog``    how many messages may be under way at once in a stream, and no more than make up
                       ``MOST_BACKLOG_BYTES``: producers wait above it, so that a trial measures carrying and
                       not piling up.
    ``warmup_s``, ``duration_s``  before and within the measured window.
    ``drain_s``        how long consumers may go without a message after the producers are done before the
                       rest counts as lost.
    ``grace_s``        how long connecting, draining and ending may each take before the watchdog calls it
                       a hang.
    ``fault``          what a ``crash`` trial suffers.
    ``scenario``       which of several things a safety workload does, where it has a choice; of a ``forced``
                       trial the face of the backend that is raced for.
    ``broker_settings``  what the broker is set to for this trial, such as ``appendonly: yes``.
    """

    workload: Workload
    backend: Variant
    producers: int = 1
    consumers: int = 1
    size_bytes: int = 1024
    window: int = 1
    rate_per_s: float | None = None
    arrivals: Literal["constant", "poisson"] = "poisson"
    max_backlog: int = 1000
    warmup_s: float = 0.5
    duration_s: float = 3.0
    drain_s: float = 1.0
    grace_s: float = 20.0
    start_method: StartMethod = "fork"
    seed: int = 1
    repeat: int = 0
    fault: FaultSpec | None = None
    scenario: str = ""
    broker_settings: dict[str, str] = {}

    @property
    def backlog(self) -> int:
        """The bound on messages under way, in messages."""
        return max(1, min(self.max_backlog, MOST_BACKLOG_BYTES // self.size_bytes))

    @property
    def face(self) -> Face:
        """What the backend is used as."""
        if self.workload == "client":
            return "channel" if self.backend.name in channel_names() else "counter"
        if self.workload == "forced":
            return next((face for face in FORCIBLE if face == self.scenario), "channel")
        return next((face for face in FORCIBLE if face == self.workload), "channel")

    @property
    def shape(self) -> str:
        """``4→1`` for four producers and one consumer."""
        return f"{self.producers}→{self.consumers}"


def check(spec: TrialSpec) -> None:
    """Refuse a trial that cannot be. Raises UsageError, UnknownNameError or MessageTooLargeError."""
    _check_numbers(spec)
    if spec.face != "channel":
        shared_class(spec.face, spec.backend)
        return
    if spec.workload == "forced":
        raise UsageError(f"a race is forced for one of {', '.join(FORCIBLE)}, not {spec.scenario!r}")
    channel = channel_class(spec.backend)
    _check_shape(spec, channel)
    _check_size(spec, channel)
    if spec.window > 1 and not channel.windowed:
        raise UsageError(
            f"{spec.backend} has no window: --window 1 is the only one that means anything there"
        )


def _check_numbers(spec: TrialSpec) -> None:
    for name in ("producers", "consumers", "window", "max_backlog", "duration_s", "drain_s", "grace_s"):
        _check_positive(name, getattr(spec, name))
    if spec.workload in ("register", "lock"):
        # What is checked are the operations of the warm-up: without one nothing is checked at all.
        _check_positive("warmup_s", spec.warmup_s)
    if not 0 <= spec.warmup_s < math.inf:
        raise UsageError(f"warmup_s must be a number not below 0, not {spec.warmup_s}")
    if spec.warmup_s + spec.duration_s > LONGEST_S:
        whole_s = spec.warmup_s + spec.duration_s
        raise UsageError(f"warm-up and window take {LONGEST_S} s at most together, not {whole_s:g} s")
    if spec.producers > MOST_PRODUCERS:
        raise UsageError(f"there can be {MOST_PRODUCERS} producers at most, not {spec.producers}")
    if spec.consumers > MOST_CONSUMERS:
        raise UsageError(f"there can be {MOST_CONSUMERS} consumers at most, not {spec.consumers}")
    if spec.face == "channel" and spec.size_bytes < SMALLEST_BYTES:
        raise UsageError(
            f"a message needs {SMALLEST_BYTES} bytes for its header, so size {spec.size_bytes} is too small"
        )
    if spec.window > MOST_WINDOW:
        raise UsageError(f"a window holds {MOST_WINDOW} messages at most, not {spec.window}")
    if spec.workload == "ping-pong" and (spec.producers, spec.consumers, spec.window) != (1, 1, 1):
        raise UsageError("a ping-pong is between two processes, one message at a time")
    if spec.workload == "paced" and spec.window != 1:
        raise UsageError("latency is measured with a window of 1: a batch would wait for its last message")
    _check_rate(spec)


def _check_rate(spec: TrialSpec) -> None:
    if (spec.workload == "paced") != (spec.rate_per_s is not None):
        raise UsageError("a rate belongs to a paced trial, and a paced trial needs one")
    if spec.rate_per_s is None:
        return
    _check_positive("rate_per_s", spec.rate_per_s)
    messages = spec.rate_per_s * (spec.warmup_s + spec.duration_s)
    if messages > MOST_PACED:
        raise UsageError(
            f"a paced trial has {MOST_PACED} messages at most, not {messages:.0f}: "
            f"lower the rate or the duration"
        )


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


def _check_size(spec: TrialSpec, channel: type[Channel]) -> None:
    largest = channel(
        Site(namespace="ipclab:check", url=None), **spec.backend.options
    ).guarantees.max_message_bytes
    if largest is not None and spec.size_bytes > largest:
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
