"""A trend as CSV in the form that Apache Otava reads: a line a run, a column a row and metric.

``time`` is the time column; ``run``, ``ipclab``, ``python``, ``changes`` and ``filled`` are attributes; all
others
are metrics. Otava refuses an empty cell and fills gaps in other sources with the value before, or else the
first one after. So does this, and ``filled`` names the columns of a run that it did not measure.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from ipclab.compare.trend import Series, Trend
from ipclab.report.look import Look

ATTRIBUTES = ("time", "run", "ipclab", "python", "changes", "filled")
_UNITS = {"cpu": "cpu_us", "goodput": "goodput_per_s", "p50": "p50_ns", "p99": "p99_ns"}


def render(trend: Trend, _look: Look | None = None) -> str:
    """Return a line a run, the oldest first."""
    names = columns(trend)
    whole = [_without_gaps(series.medians) for series in trend.series]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*ATTRIBUTES, *names])
    for place, point in enumerate(trend.points):
        changes = "; ".join(change.text for change in (*point.incomparable, *point.changes))
        pairs = zip(names, trend.series, strict=True)
        filled = " ".join(name for name, series in pairs if series.medians[place] is None)
        cells = [f"{values[place]:.6g}" for values in whole]
        writer.writerow([point.began_utc, point.run, point.ipclab, point.python, changes, filled, *cells])
    return out.getvalue()


def columns(trend: Trend) -> list[str]:
    """Return the name of each series: letters, digits, ``.``, ``-`` and ``_`` only, and each one once."""
    found: list[str] = []
    for series in trend.series:
        name, number = _name(series), 1
        while (unique := name if number == 1 else f"{name}.{number}") in found:
            number += 1
        found.append(unique)
    return found


def _without_gaps(medians: Sequence[float | None]) -> list[float]:
    """Return the values with each gap filled by the value before, or the first one after. One is known."""
    last = next(median for median in medians if median is not None)
    out = []
    for median in medians:
        last = last if median is None else median
        out.append(last)
    return out


def _name(series: Series) -> str:
    row = re.sub(r"[^A-Za-z0-9.-]+", "_", series.key.text.replace("→", "to").replace("×", "x")).strip("_")
    return f"{row}.{_UNITS[series.metric]}"
