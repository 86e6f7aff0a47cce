"""The work of a job: what a consumer does between the receipt of a message and its acknowledgement.

Its text, for ``--work`` and in a spec, is words joined by colons, in any order, the duration among them::

    5ms              each job takes 5 ms, in which the consumer sleeps
    cpu:5ms          each job takes 5 ms of the consumer's own CPU time
    exp:5ms          the durations are exponentially distributed, with a mean of 5 ms
    exp:cpu:250us    both

``sleep`` and ``constant`` may be written too. The canonical text leaves them out.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from ipclab.errors import UsageError
from ipclab.trial.spec import TrialSpec

Kind = Literal["sleep", "cpu"]
"""``sleep``: the consumer sleeps, as a job does that waits for a database or another service. ``cpu``: it
uses its own CPU time, as a job does that computes; time without a processor does not count."""

_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s)")
_LONGEST_NS = 10 * 10**9
"""A worker that stands still for longer than the grace time of a trial would count as hung."""
_ROUNDS = 20
"""Rounds of a loop between two readings of the CPU clock: about a microsecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``mean_ns`` of work for each job, constant or exponentially distributed."""

    kind: Kind
    mean_ns: int
    exponential: bool = False

    def __str__(self) -> str:
        words = ["exp"] if self.exponential else []
        words += ["cpu"] if self.kind == "cpu" else []
        return ":".join([*words, _duration(self.mean_ns)])

    def durations_ns(self, seed: str) -> Iterator[int]:
        """Yield the duration of each job in nanoseconds, without end, the same ones for the same seed."""
        draw = random.Random(seed).expovariate
        while True:
            yield int(draw(1) * self.mean_ns) if self.exponential else self.mean_ns


class HandlerError(Exception):
    """What the handler of a job raises where it is to fail."""


def parse(text: str) -> Work:
    """Return the work that a text describes. Raise UsageError where it describes none."""
    kind: Kind = "sleep"
    exponential, mean_ns, seen = False, 0, set[str]()
    for word in text.strip().split(":"):
        if word in ("cpu", "sleep"):
            what, kind = "kind", "cpu" if word == "cpu" else "sleep"
        elif word in ("exp", "constant"):
            what, exponential = "distribution", word == "exp"
        elif found := _DURATION.fullmatch(word):
            what, mean_ns = "duration", round(float(found[1]) * _UNITS_NS[found[2]])
        else:
            raise UsageError(f"{text!r} is no work: write 5ms, cpu:5ms or exp:5ms")
        if what in seen:
            raise UsageError(f"{text!r} has two words for the {what} of the work: write one")
        seen.add(what)
    if not 0 < mean_ns <= _LONGEST_NS:
        raise UsageError(f"{text!r} is no work: a job takes more than 0 and at most 10 s")
    return Work(kind=kind, mean_ns=mean_ns, exponential=exponential)


def handler_of(spec: TrialSpec, consumer: int) -> Callable[[], None]:
    """Return the handler of this consumer's jobs; its durations and failures differ from the others'."""
    seed = f"{spec.seed + spec.repeat}/work/{consumer}"
    return handler(parse(spec.work), spec.work_fail_share, seed)


def handler(work: Work, fail_share: float, seed: str) -> Callable[[], None]:
    """Return a function that does the work of one job each time it is called.

    It raises HandlerError, when the work is done, for ``fail_share`` of the calls; which ones follows from
    the seed. Not thread-safe.
    """
    durations = work.durations_ns(seed)
    do = _doing(work.kind)
    if not fail_share:
        return lambda: do(next(durations))
    draw = random.Random(f"{seed}/fails").random

    def handle() -> None:
        do(next(durations))
        if draw() < fail_share:
            raise HandlerError

    return handle


def _doing(kind: Kind) -> Callable[[int], None]:
    match kind:
        case "sleep":
            return _sleep
        case "cpu":
            return burn
        case _:
            assert_never(kind)


def _sleep(duration_ns: int) -> None:
    time.sleep(duration_ns / 1e9)


def burn(cpu_ns: int) -> None:
    """Use this much CPU time of the calling thread, as its own CPU clock tells.

    Time in which the thread waits for a processor does not count, so on a busy machine it takes longer.
    """
    clock = time.thread_time_ns
    end_ns = clock() + cpu_ns
    while clock() < end_ns:
        for _ in range(_ROUNDS):
            pass


def _duration(ns: int) -> str:
    for unit in ("s", "ms", "us"):
        value = ns / _UNITS_NS[unit]
        if value >= 1:
            return f"{value:.12g}{unit}"
    return f"{ns}ns"
