"""Turns raw nanoseconds into a distribution, and merges the histograms of several trials."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from ipclab.trial.record import PERCENTILES, Distribution

SAMPLES_BEYOND = 10
"""A percentile is withheld unless this many samples lie beyond it; p99 and p99.9 also unless these belong to
as many separate excursions. Ten samples of one pause are one event, and do not show how often it happens."""
SAMPLES_OF_A_REPEAT = 3
"""Samples beyond a percentile of one repeat among several, of which only the range is shown."""
_STEPS_AN_OCTAVE = 8
"""Excursions are counted above durations that lie 9 % apart."""
_LOWEST_NS, _HIGHEST_NS, _DIGITS = 1, 3_600_000_000_000, 3
_SUB_BUCKET_BITS = 11
"""An HdrHistogram of 3 digits has 2048 distinct values in each power of two."""


def summarize(
    samples_ns: npt.NDArray[np.int64], at_ns: npt.NDArray[np.int64] | None = None
) -> Distribution | None:
    """Return the distribution of these samples, None for none; negative samples are counted separately.

    ``at_ns`` is the time at which each sample was due or began. Without it, excursions are unknown, and the
    number of samples alone decides which percentiles are withheld.
    """
    if not len(samples_ns):
        return None
    valid = samples_ns[samples_ns >= 0]
    runs = None if at_ns is None else _excursions(samples_ns[np.argsort(at_ns, kind="stable")])
    return Distribution(
        count=len(samples_ns),
        negative=len(samples_ns) - len(valid),
        min_ns=int(samples_ns.min()),
        p50_ns=_percentile(valid, PERCENTILES["p50"]),
        p90_ns=_percentile(valid, PERCENTILES["p90"]),
        p99_ns=_with_excursions(_percentile(valid, PERCENTILES["p99"]), [runs]),
        p999_ns=_with_excursions(_percentile(valid, PERCENTILES["p999"]), [runs]),
        max_ns=int(samples_ns.max()),
        histogram=_encode(valid),
        excursions=runs,
    )


def merge(distributions: Iterable[Distribution], *, never: int = 0) -> Distribution | None:
    """Return one distribution of all samples, read from the merged histograms (3 significant digits).

    ``never`` is the number of additional samples that count as longer than all others, such as messages that
    were due and never sent. They push the percentiles up; a percentile that lies among them is None.
    """
    parts = list(distributions)
    if not parts:
        return None
    merged = _merged(parts)
    runs = [part.excursions for part in parts]

    longest_ns = max(part.max_ns for part in parts)

    def at(fraction: float) -> int | None:
        return _place(merged, fraction, never, SAMPLES_BEYOND)

    def reached(percentile_ns: int | None) -> int | None:
        # The histogram answers with the upper end of a bucket, which may lie above the longest sample.
        shown = None if percentile_ns is None else _with_excursions(min(percentile_ns, longest_ns), runs)
        return None if shown is None else percentile_ns

    return Distribution(
        count=sum(part.count for part in parts),
        negative=sum(part.negative for part in parts),
        min_ns=min(part.min_ns for part in parts),
        p50_ns=at(PERCENTILES["p50"]),
        p90_ns=at(PERCENTILES["p90"]),
        p99_ns=reached(at(PERCENTILES["p99"])),
        p999_ns=reached(at(PERCENTILES["p999"])),
        max_ns=longest_ns,
        histogram=merged.encode().decode(),
    )


def curve(
    distributions: Iterable[Distribution], shares: Sequence[float], *, never: int = 0
) -> list[tuple[float, int]]:
    """Return pairs of a share of all samples and the latency in ns that it does not exceed.

    ``shares`` ascend from 0 on. The pairs end before the first share that would be withheld as a percentile.
    ``never`` as in ``merge()``. Empty where there are no samples.
    """
    parts = list(distributions)
    merged, found = _merged(parts), []
    if not merged.get_total_count():
        return []
    runs, longest_ns = [part.excursions for part in parts], max(part.max_ns for part in parts)
    for share in shares:
        value = _place(merged, share, never, SAMPLES_BEYOND)
        if value is not None and share >= PERCENTILES["p99"]:
            value = _with_excursions(min(value, longest_ns), runs)
        if value is None:
            break
        found.append((share, min(value, longest_ns)))
    return found


def roughly(part: Distribution, fraction: float, *, never: int = 0) -> int | None:
    """Return a percentile of one repeat, to show how far the repeats lie apart.

    It needs ``SAMPLES_OF_A_REPEAT`` samples beyond it, too few for a figure of its own. ``never`` is as in
    ``merge()``.
    """
    found = _place(_merged([part]), fraction, never, SAMPLES_OF_A_REPEAT)
    return None if found is None else min(found, part.max_ns)


def beyond(part: Distribution, limit_ns: int) -> int:
    """Return how many samples were longer than a limit, to the precision of the histogram (0.1 %)."""
    histogram = _merged([part])
    counts: npt.NDArray[np.int64] = np.frombuffer(histogram.counts, np.int64)
    first = bisect.bisect_right(range(len(counts)), limit_ns, key=histogram.get_value_from_index)
    return int(counts[first:].sum())


def unchecked(part: Distribution, share: float, *, never: int = 0) -> int | None:
    """Return the latency that this share of the samples does not exceed, from however few samples.

    It is no figure for a table: it only tells what a judgement was made of. ``never`` is as in ``merge()``.
    """
    found = _place(_merged([part]), share, never, 0)
    return None if found is None else min(found, part.max_ns)


def excursions(parts: Iterable[Distribution], from_ns: int) -> int | None:
    """Return how many separate runs of samples took this long or longer; None where it is not known."""
    total = 0
    for part in parts:
        if part.excursions is None:
            return None
        total += _reaching(part.excursions, from_ns)
    return total


def _merged(parts: Iterable[Distribution]) -> HdrHistogram:
    merged = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
    for part in parts:
        merged.decode_and_add(part.histogram)
    return merged


def _place(histogram: HdrHistogram, fraction: float, never: int, beyond: int) -> int | None:
    count = histogram.get_total_count()
    # A whole rank, because the histogram would round it to the nearest and not up.
    place = math.ceil(fraction * (count + never) - 1e-6)
    if not _enough(count + never, fraction, beyond) or place > count:
        return None
    return _upper_end(histogram, place)


def _upper_end(histogram: HdrHistogram, place: int) -> int:
    """Return the upper end of the bucket of the sample at this place among all, from 1, in their order.

    It is what ``get_value_at_percentile()`` returns, which looks at each bucket in Python.
    """
    counts: npt.NDArray[np.int64] = np.frombuffer(histogram.counts, np.int64)
    bucket = int(np.searchsorted(np.cumsum(counts), max(place, 1)))
    return int(histogram.get_highest_equivalent_value(histogram.get_value_from_index(bucket)))


def _with_excursions(percentile_ns: int | None, runs: Sequence[list[tuple[int, int]] | None]) -> int | None:
    """Return the percentile where enough separate excursions reached it, or their number is not known."""
    if percentile_ns is None or any(part is None for part in runs):
        return percentile_ns
    many = sum(_reaching(part or [], percentile_ns) for part in runs)
    return percentile_ns if many >= SAMPLES_BEYOND else None


def _reaching(runs: Sequence[tuple[int, int]], from_ns: int) -> int:
    """Return how many runs reached the longest known duration that is not longer than this one."""
    if not runs:
        return 0
    place = bisect.bisect_right(runs, from_ns, key=lambda pair: pair[0])
    return runs[max(place - 1, 0)][1]


def _excursions(samples_ns: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return, for durations from p90 on, how many separate runs of samples (in this order) reached each.

    Where half of all samples reach a duration, no run stands out: then each sample counts.
    """
    exact = {int(np.quantile(samples_ns, q, method="inverted_cdf")) for q in (0.9, 0.99, 0.999)}
    low, high = max(min(exact), 1), max(int(samples_ns.max()), 1)
    steps = range(math.ceil(math.log2(low) * _STEPS_AN_OCTAVE), math.ceil(math.log2(high) * _STEPS_AN_OCTAVE))
    places = np.flatnonzero(samples_ns >= low)
    values = samples_ns[places]
    found: list[tuple[int, int]] = []
    for from_ns in sorted(
        {max(value, 1) for value in exact} | {int(2 ** (s / _STEPS_AN_OCTAVE)) for s in steps}
    ):
        reaching = places[values >= from_ns]
        many = len(reaching)
        if 2 * many < len(samples_ns):
            many = int((np.diff(reaching) > 1).sum()) + bool(many)
        if not found or found[-1][1] != many:
            found.append((from_ns, many))
    return [*found, (high + 1, 0)]


def _enough(count: int, fraction: float, beyond: int = SAMPLES_BEYOND) -> bool:
    return count * (1 - fraction) >= beyond - 1e-6


def _percentile(samples_ns: npt.NDArray[np.int64], fraction: float) -> int | None:
    if not _enough(len(samples_ns), fraction):
        return None
    # The smallest sample that at least this share of all does not exceed: a value that occurred.
    return int(np.quantile(samples_ns, fraction, method="inverted_cdf"))


def _encode(samples_ns: npt.NDArray[np.int64]) -> str:
    """Encode the samples as a histogram. To record one takes almost 1 µs, so equal values are grouped."""
    values = np.clip(samples_ns, _LOWEST_NS, _HIGHEST_NS)
    bits = np.floor(np.log2(values)).astype(np.int64) + 1
    shift = np.maximum(bits - _SUB_BUCKET_BITS, 0)
    unique, counts = np.unique((values >> shift) << shift, return_counts=True)
    histogram = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
    for value, count in zip(unique.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    encoded: bytes = histogram.encode()
    return encoded.decode()
