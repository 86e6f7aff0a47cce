"""Raw nanoseconds to a distribution, and histograms of several trials to one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from ipclab.trial.record import Distribution

SAMPLES_BEYOND = 10
"""A percentile is withheld unless so many samples lie beyond it."""
_LOWEST_NS, _HIGHEST_NS, _DIGITS = 1, 3_600_000_000_000, 3
_SUB_BUCKET_BITS = 11
"""An HdrHistogram of 3 digits tells 2048 values apart in each power of two."""


def distribution(samples_ns: npt.NDArray[np.int64]) -> Distribution | None:
    """The distribution of these samples; None where there are none. Negative ones are counted apart."""
    if not len(samples_ns):
        return None
    valid = samples_ns[samples_ns >= 0]
    return Distribution(
        count=len(samples_ns),
        negative=len(samples_ns) - len(valid),
        min_ns=int(samples_ns.min()),
        p50_ns=_percentile(valid, 0.5),
        p90_ns=_percentile(valid, 0.9),
        p99_ns=_percentile(valid, 0.99),
        p999_ns=_percentile(valid, 0.999),
        max_ns=int(samples_ns.max()),
        histogram=_encode(valid),
    )


def merge(distributions: Iterable[Distribution], *, never: int = 0) -> Distribution | None:
    """One distribution of all samples, read off the merged histograms (3 significant digits).

    ``never`` is how many more there would have been that took longer than any that was seen, such as messages
    that were due and never sent. They push the percentiles up; one that lies among them is None.
    """
    parts = list(distributions)
    if not parts:
        return None
    merged = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
    for part in parts:
        merged.decode_and_add(part.histogram)
    count = merged.get_total_count()

    def at(fraction: float) -> int | None:
        # A whole place, since the histogram would round it to the nearest and not up.
        place = math.ceil(fraction * (count + never) - 1e-6)
        if not _enough(count + never, fraction) or place > count:
            return None
        return int(merged.get_value_at_percentile(100 * place / count))

    return Distribution(
        count=sum(part.count for part in parts),
        negative=sum(part.negative for part in parts),
        min_ns=min(part.min_ns for part in parts),
        p50_ns=at(0.5),
        p90_ns=at(0.9),
        p99_ns=at(0.99),
        p999_ns=at(0.999),
        max_ns=max(part.max_ns for part in parts),
        histogram=merged.encode().decode(),
    )


def _enough(count: int, fraction: float) -> bool:
    return count * (1 - fraction) >= SAMPLES_BEYOND - 1e-6


def _percentile(samples_ns: npt.NDArray[np.int64], fraction: float) -> int | None:
    if not _enough(len(samples_ns), fraction):
        return None
    # The smallest sample that at least this share of all does not exceed: a value that really occurred.
    return int(np.quantile(samples_ns, fraction, method="inverted_cdf"))


def _encode(samples_ns: npt.NDArray[np.int64]) -> str:
    """Recording a value takes most of a microsecond, so equal ones are put together first."""
    values = np.clip(samples_ns, _LOWEST_NS, _HIGHEST_NS)
    bits = np.floor(np.log2(values)).astype(np.int64) + 1
    shift = np.maximum(bits - _SUB_BUCKET_BITS, 0)
    unique, counts = np.unique((values >> shift) << shift, return_counts=True)
    histogram = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
    for value, count in zip(unique.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    encoded: bytes = histogram.encode()
    return encoded.decode()
