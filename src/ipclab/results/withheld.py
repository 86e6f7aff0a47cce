"""Why percentiles are missing in the table: too few samples, or they lie among messages that never came."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ipclab.host.texts import tr
from ipclab.results import again, units
from ipclab.results.result import Result
from ipclab.results.rows.build import trials_of, undone, unended
from ipclab.results.rows.distance import with_one_way
from ipclab.results.rows.row import Percentiles, Row
from ipclab.trial import workloads
from ipclab.trial.distribution import SAMPLES_BEYOND
from ipclab.trial.record import PERCENTILES, TrialRecord
from ipclab.trial.spec import LONGEST_S, TrialSpec

_BEYOND = {name: round(1 - share, 6) for name, share in PERCENTILES.items()}
"""The share of all samples that lies beyond each percentile."""


def explain(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a footnote for each reason to withhold a percentile, with the command that gets more samples."""
    shown = _shown(rows)
    together = zip(rows, trials_of(rows, result.trials), strict=True)
    found = [gap for row, trials in together for gap in _gaps(row, trials, shown)]
    if any(gap.among for gap in found):
        yield (
            tr(
                "{withheld}  withheld, because the figure lies among messages that were "
                "skipped or lost, above every measured value",
                withheld=units.WITHHELD,
            )
        )
    if short := [gap for gap in found if not gap.among]:
        separate = (
            tr(", in as many separate excursions") if any(gap.excursions is not None for gap in short) else ""
        )
        yield (
            tr(
                "{withheld}  withheld, because at least {samples_beyond} samples must "
                "lie beyond a percentile (p99 needs 1 000 samples, p99.9 10 "
                "000){separate}{result}",
                withheld=units.WITHHELD,
                samples_beyond=SAMPLES_BEYOND,
                separate=separate,
                result=_remedy(result, short),
            )
        )


@dataclass(frozen=True, slots=True)
class _Gap:
    """A withheld figure: a percentile with this share ``beyond`` it, or the maximum, with none. ``among``: it
    lies among messages that never came; otherwise samples are missing, and ``samples`` is the number in
    trials of ``duration_s`` after ``warmup_s``."""

    among: bool
    beyond: float
    samples: int
    duration_s: float
    warmup_s: float
    excursions: int | None = None
    """The number of excursions, where there were enough samples and too few excursions."""

    @property
    def needs_s(self) -> float:
        """Return how long trials would have to be; infinite where that cannot be estimated."""
        beyond = self.beyond * self.samples if self.excursions is None else self.excursions
        return self.duration_s * SAMPLES_BEYOND / beyond if beyond else math.inf


def _shown(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Return which figures of each latency the table has columns for."""
    goodput = any(row.goodput_per_s for row in rows)
    beside = goodput or any(row.rate_per_s for row in rows)
    return {
        "end_to_end": ("p50", "p99", "p999") if goodput else (*_BEYOND, "max"),
        "service": () if goodput else ("p50", "p99"),
        "round_trip": ("p50",) if beside else tuple(_BEYOND),
        "update": ("p50", "p99", "p999"),
    }


def _gaps(row: Row, trials: Sequence[TrialRecord], shown: Mapping[str, Sequence[str]]) -> Iterator[_Gap]:
    paced = with_one_way([trial for trial in trials if workloads.of(trial.spec).open_loop])
    never = {"end_to_end": sum(map(unended, paced)), "service": sum(map(undone, paced))}
    for workload in workloads.ALL:
        specs = [trial.spec for trial in trials if workloads.of(trial.spec) is workload]
        for latency in workload.latencies:
            found: Percentiles | None = getattr(row, latency)
            if found is not None and specs:
                missing = [name for name in shown[latency] if getattr(found, f"{name}_ns") is None]
                gone = never.get(latency, 0)
                for name in missing:
                    gap = _gap(found, _BEYOND.get(name, 0.0), specs, gone)
                    many = found.excursions.get(name, SAMPLES_BEYOND)
                    yield gap if gap.among or many >= SAMPLES_BEYOND else replace(gap, excursions=many)


def _gap(found: Percentiles, beyond: float, specs: Sequence[TrialSpec], never: int) -> _Gap:
    valid = found.count - found.negative
    samples = valid + never
    place = math.ceil((1 - beyond) * samples - 1e-6)
    # The end of the window cuts off one send of each trial, however long it is: longer trials fix that.
    mendable = 0 < samples * beyond < SAMPLES_BEYOND and never <= len(specs)
    return _Gap(
        among=place > valid and not mendable,
        beyond=beyond,
        samples=samples,
        duration_s=max(spec.duration_s for spec in specs),
        warmup_s=max(spec.warmup_s for spec in specs),
    )


def _remedy(result: Result, short: Sequence[_Gap]) -> str:
    most = max(short, key=lambda gap: gap.needs_s)
    if math.isinf(most.needs_s) or "legs" in result.options:
        return ""
    duration_s = _round_up(most.needs_s * 1.1)
    if duration_s + most.warmup_s > LONGEST_S:
        return tr(
            "; the longest trial is too short for all of them: not within {longest_s} s", longest_s=LONGEST_S
        )
    return tr("; to show all of them: {result}", result=again.command(result, duration_s=f"{duration_s:g}"))


def _round_up(seconds: float) -> float:
    step: float = 10.0 ** math.floor(math.log10(seconds)) / 2
    return math.ceil(seconds / step) * step
