"""Baselines: the last runs of an experiment on a kind of machine, and how far they lie apart.

``baselines/MACHINE-KEY/EXPERIMENT.json`` has the digests of up to ``KEPT`` runs. Such a file is made to be
committed or cached: it has no address, user or path.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ipclab.compare import conditions
from ipclab.compare.digest import METRICS, Digest, Metric, RowDigest, RowKey
from ipclab.compare.statistics import floor_of
from ipclab.errors import ResultsError
from ipclab.host.files import read_bytes
from ipclab.results.reader import escaped_texts
from ipclab.results.result import Environment
from ipclab.results.store import write_atomically

SCHEMA_VERSION = 1
KEPT = 5
MOST_BYTES = 16 << 20
_UNSAFE = re.compile(r"[^a-z0-9]+")


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``ipclab_baseline`` is the version of this schema; ``runs`` are the oldest first."""

    ipclab_baseline: int
    experiment: str
    runs: list[Digest]

    @property
    def enough(self) -> bool:
        """Return whether there are enough runs for a floor."""
        return len(self.runs) >= KEPT


def machine_key(machine: Environment) -> str:
    """Return the name of a folder for this kind of machine: its processor and number of cores."""
    return f"{_UNSAFE.sub('-', machine.processor.lower()).strip('-') or 'unknown'}-{machine.cores}-cores"


def place(folder: Path, machine: Environment, experiment: str) -> Path:
    """Return where the baseline of an experiment is kept for this machine."""
    return folder / machine_key(machine) / f"{experiment}.json"


def read(path: Path) -> Baseline | None:
    """Return the baseline in this file; None where there is none. Raise ResultsError in one line."""
    try:
        data = read_bytes(path, MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"the baseline {path} cannot be read: {error.strerror or error}") from error
    try:
        version = msgspec.json.decode(data, type=_Version).ipclab_baseline
        if version != SCHEMA_VERSION:
            raise ResultsError(
                f"{path} has version {version} of the baseline schema, and this ipclab reads version "
                f"{SCHEMA_VERSION}: remove it, and make a new baseline with --update-baseline"
            )
        found = msgspec.to_builtins(msgspec.json.decode(data, type=Baseline))
        return msgspec.convert(escaped_texts(found, str(path)), Baseline)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ResultsError(f"{path} is no baseline of ipclab, or is damaged: {error}") from error


def update(path: Path, runs: Sequence[Digest]) -> Baseline:
    """Add runs to the baseline in this file, drop all but the last ``KEPT``, and return it.

    Runs under conditions that cannot be compared with those stored replace them. Raise ResultsError.
    """
    stored = read(path)
    kept = [run for run in (stored.runs if stored else []) if not conditions.refused(run, runs[-1])]
    baseline = Baseline(
        ipclab_baseline=SCHEMA_VERSION, experiment=runs[-1].experiment, runs=[*kept, *runs][-KEPT:]
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(baseline) + b"\n")
    except OSError as error:
        raise ResultsError(f"the baseline {path} cannot be written: {error.strerror or error}") from error
    return baseline


def floors(runs: Sequence[Digest]) -> dict[tuple[RowKey, Metric], float]:
    """Return, for each row and metric of some runs of the same code, how far two of them lie apart.

    In natural logarithms; see ``statistics.floor_of``.
    """
    medians: dict[tuple[RowKey, Metric], list[float]] = {}
    for run in runs:
        for row in run.rows:
            for metric in METRICS:
                if values := row.values.get(metric):
                    medians.setdefault((row.key, metric), []).append(statistics.median(values))
    found = {place: floor_of(several) for place, several in medians.items()}
    return {place: floor for place, floor in found.items() if floor is not None}


def pooled(runs: Sequence[Digest]) -> Digest:
    """Return one run with the rows of several and all their values.

    Its conditions are those of the last run; the verdict of a row or cell is that of the last run that has
    it.
    """
    by_key: dict[RowKey, list[RowDigest]] = {}
    for run in runs:
        for row in run.rows:
            by_key.setdefault(row.key, []).append(row)
    cells = {cell.key: cell for run in runs for cell in run.cells}
    rows = [_pooled(several) for several in by_key.values()]
    return msgspec.structs.replace(runs[-1], rows=rows, cells=list(cells.values()))


def _pooled(rows: Sequence[RowDigest]) -> RowDigest:
    last = rows[-1]
    alike = [row for row in rows if row.cpu_of == last.cpu_of]
    values: dict[Metric, list[float]] = {}
    for metric in METRICS:
        of = alike if metric == "cpu" else rows
        if several := [value for row in of for value in row.values.get(metric, [])]:
            values[metric] = several
    return msgspec.structs.replace(last, values=values)


class _Version(msgspec.Struct):
    ipclab_baseline: int
