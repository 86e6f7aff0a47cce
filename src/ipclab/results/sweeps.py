"""The latency of each backend by the rate that is offered: the median of the repeats, and the knee. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import msgspec

from ipclab.capacity.judge import CARRIED, carried_share
from ipclab.errors import ResultsError
from ipclab.results.rows import classes
from ipclab.results.rows.build import unended, unreceived
from ipclab.results.rows.row import way
from ipclab.trial.distribution import roughly
from ipclab.trial.record import PERCENTILES, Distribution, Limit, TrialRecord
from ipclab.trial.spec import TrialSpec

KNEE = 5.0
"""Beyond the knee, the median latency is more than so many times that at the lowest rate."""


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rate of a curve. Each figure is the median of its ``repeats``.

    ``p50_ns``, ``p99_ns``  the latency from the moment at which a message was due; None where it is not
                  known, or lies among messages that never came.
    ``service_p99_ns``  p99 from the actual send, as a closed loop sees it.
    ``carried_share``  what arrived within the window, by what was due within it.
    """

    rate_per_s: float
    repeats: int
    p50_ns: int | None
    p99_ns: int | None
    service_p99_ns: int | None
    carried_share: float | None
    limit: Limit


class RateCurve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The curve of one backend, its points by ascending rate.

    ``knee_per_s`` is the highest rate up to which the median latency is at most 5 times that at the lowest
    rate, and 95 % is carried; None where that is so at every rate, or at none.
    """

    backend: str
    name: str
    mode: str
    guarantee_class: str
    producers: int
    consumers: int
    size_bytes: int
    window: int
    start_method: str
    payload: str
    codec: str
    smallest_bytes: int
    work: str
    work_fail_share: float
    arrivals: str
    peak_per_s: float | None
    points: list[CurvePoint]
    knee_per_s: float | None

    @property
    def way(self) -> str:
        """Return how its messages travel: the backend and its mode, and payload and codec where chosen."""
        return way(self.name, self.mode, self.payload, self.codec)

    @property
    def shape(self) -> str:
        """Return the shape, such as ``4→1``."""
        return f"{self.producers}→{self.consumers}"


def rate_curves(trials: Iterable[TrialRecord]) -> list[RateCurve]:
    """Return the curve of each backend, in the order of its first trial.

    Raise ResultsError for an unreadable histogram.
    """
    by_key: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        spec = trial.spec
        if spec.study is not None and spec.study.kind == "curve":
            by_key.setdefault(_key(spec), []).append(trial)
    return [_curve(members) for members in by_key.values()]


def knee(points: Sequence[CurvePoint]) -> float | None:
    """Return the rate of the knee: see ``RateCurve``."""
    if not points or points[0].p50_ns is None:
        return None
    most_ns = KNEE * points[0].p50_ns
    for before, point in zip([None, *points], points, strict=False):
        carried = point.carried_share is not None and point.carried_share >= CARRIED
        if point.p50_ns is None or point.p50_ns > most_ns or not carried:
            return None if before is None else before.rate_per_s
    return None


def _key(spec: TrialSpec) -> str:
    """Return what the trials of one curve have in common: everything but rate, times, seed and repeat."""
    same = msgspec.structs.replace(
        spec,
        workload="",
        study=None,
        rate_per_s=None,
        arrivals="",
        warmup_s=0,
        duration_s=0,
        seed=0,
        repeat=0,
    )
    return repr(same)


def _curve(members: Sequence[TrialRecord]) -> RateCurve:
    spec = members[0].spec
    by_rate: dict[float, list[TrialRecord]] = {}
    for trial in members:
        if trial.spec.rate_per_s is not None:
            by_rate.setdefault(trial.spec.rate_per_s, []).append(trial)
    points = [_point(rate, by_rate[rate]) for rate in sorted(by_rate)]
    streams = [t.rate_per_s for t in members if t.spec.rate_per_s is None and t.rate_per_s is not None]
    declared = next((trial.guarantees for trial in members if trial.guarantees), {})
    return RateCurve(
        backend=str(spec.backend),
        name=spec.backend.name,
        mode=" ".join(f"{name}={value}" for name, value in sorted(spec.backend.options.items())),
        guarantee_class=classes.guarantee_class(declared).title,
        producers=spec.producers,
        consumers=spec.consumers,
        size_bytes=spec.size_bytes,
        window=spec.window,
        start_method=spec.start_method,
        payload=spec.payload,
        codec=spec.codec,
        smallest_bytes=spec.smallest_bytes,
        work=spec.work,
        work_fail_share=spec.work_fail_share,
        arrivals=next((t.spec.arrivals for t in members if t.spec.rate_per_s), spec.arrivals),
        peak_per_s=max(streams, default=None),
        points=points,
        knee_per_s=knee(points),
    )


def _point(rate_per_s: float, trials: Sequence[TrialRecord]) -> CurvePoint:
    done = [trial for trial in trials if trial.outcome == "finished"]
    carried = [share for trial in done if (share := carried_share(trial)) is not None]
    limits = [trial.limit for trial in done]
    return CurvePoint(
        rate_per_s=rate_per_s,
        repeats=len(trials),
        p50_ns=_median([_at(t.latency.end_to_end, "p50", unended(t)) for t in done], len(trials)),
        p99_ns=_median([_at(t.latency.end_to_end, "p99", unended(t)) for t in done], len(trials)),
        service_p99_ns=_median([_at(t.latency.service, "p99", unreceived(t)) for t in done], len(trials)),
        carried_share=statistics.median(carried) if carried else None,
        limit=max(limits, key=limits.count) if limits else "unknown",
    )


def _at(part: Distribution | None, percentile: str, never: int) -> float:
    """Return a percentile of one repeat, infinite where it is not known."""
    try:
        found = None if part is None else roughly(part, PERCENTILES[percentile], never=never)
    except Exception as error:
        raise ResultsError(
            f"a latency histogram cannot be read ({type(error).__name__}): the result file is damaged"
        ) from error
    return math.inf if found is None else found


def _median(values: Sequence[float], trials: int) -> int | None:
    """Return the median, with each trial that did not finish as slower than all others."""
    found = statistics.median_low([*values, *[math.inf] * (trials - len(values))])
    return None if math.isinf(found) else int(found)
