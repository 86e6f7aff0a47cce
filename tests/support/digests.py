"""Digests of runs that never were: rows with the values that a test wants."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ipclab.compare.digest import CellDigest, CellKey, Digest, Metric, RowDigest, RowKey
from ipclab.host.clock import ClockTest
from ipclab.results.result import Environment
from ipclab.trial.record import BrokerFacts


def environment(**fields: Any) -> Environment:
    """Return a machine."""
    default: dict[str, Any] = {
        "ipclab": "0.1.0",
        "python": "3.13.1",
        "implementation": "CPython",
        "system": "Linux 6.1",
        "processor": "Some CPU @ 2 GHz",
        "cores": 2,
        "memory_bytes": 8 * 2**30,
        "load_1min": 0.1,
        "start_method": "fork",
        "libraries": {"redis": "6.0"},
        "clock": ClockTest(rounds=200, offset_bound_ns=12_300, step_ns=40),
    }
    return Environment(**(default | fields))


def key(backend: str = "pipe", **fields: Any) -> RowKey:
    """Return the key of a row."""
    default: dict[str, Any] = {
        "kind": "channel",
        "shape": "1→1",
        "size_bytes": 1024,
        "window": 1,
        "rate_per_s": None,
        "arrivals": None,
        "start_method": "fork",
        "load": "",
    }
    return RowKey(backend=backend, **(default | fields))


def row(
    backend: str = "pipe",
    values: Mapping[Metric, Sequence[float]] | None = None,
    *,
    of: Mapping[str, Any] | None = None,
    **fields: Any,
) -> RowDigest:
    """Return a row that kept what it declares; ``of`` are fields of its key."""
    default: dict[str, Any] = {
        "verdict": "kept",
        "guarantee_class": "At most once",
        "durations_s": {"stream": 1.0},
        "counts": {"lost": 0, "duplicated": 0},
    }
    found = {name: list(several) for name, several in (values or {}).items()}
    return RowDigest(key=key(backend, **(of or {})), values=found, **(default | fields))


def cell(verdict: Any, *, trials: int = 5, kept: int = 0, **fields: Any) -> CellDigest:
    """Return a cell of the safety tables."""
    where = CellKey("crash", "queue", "kill", "consumer", "idle", "")
    return CellDigest(
        **({"key": where, "verdict": verdict, "trials": trials, "kept": kept, "refused": 0} | fields)
    )


def run(*rows: RowDigest, **fields: Any) -> Digest:
    """Return a run on a quiet machine."""
    default: dict[str, Any] = {
        "experiment": "throughput",
        "began_utc": "2026-01-02T03:04:05+00:00",
        "ended_utc": "2026-01-02T03:06:05+00:00",
        "complete": True,
        "environment": environment(),
        "brokers": [
            BrokerFacts(
                kind="redis", provider="native", version="7.0.15", url="", settings={"appendonly": "no"}
            )
        ],
    }
    return Digest(rows=list(rows), **(default | fields))


def sample(seed: int, deviation: float, many: int = 10, level: float = 100.0) -> list[float]:
    """Return repeats whose logarithms have this standard deviation."""
    chance = random.Random(seed)
    return [level * float(np.exp(chance.gauss(0.0, deviation))) for _ in range(many)]
