"""What ``ipclab gate --against`` sees and what it does not: a calibrated slow-down, and no change at all.

A plug-in makes ``pipe`` and ``queue`` burn a share of CPU time more a message, and leaves two other rows
alone. The gate is to name these two rows and no other. Then it is run on two equal sides, again and again,
and is to claim nothing.

    python benchmarks/gate.py --slower 20 --aa 10
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SLOWED = ("pipe", "queue")
ALONE = ("simple-queue", "pipe-locked")
SHAPE = ("--producers", "1", "--consumers", "1", "--size", "1KiB")
PLUGIN = """
import functools
import os

from ipclab.backends.local import pipe, queue

ROUNDS = {rounds!r}


def burning(send, rounds):
    counter = range(rounds)

    def send_slowly(body):
        for _ in counter:
            pass
        return send(body)

    return send_slowly


def slow_down(producer, attribute, rounds):
    init = producer.__init__

    @functools.wraps(init)
    def slower(self, *arguments):
        init(self, *arguments)
        setattr(self, attribute, burning(getattr(self, attribute), rounds))

    producer.__init__ = slower


slow_down(pipe.PipeProducer, "_send_bytes", ROUNDS["pipe"])
slow_down(queue.QueueProducer, "_put", ROUNDS["queue"])


class Burning(queue.SimpleQueueChannel):
    name = "burning"
    summary = "the package that slows pipe and queue down"
"""


def main() -> None:
    """Print what the gates said, and end with 1 where one of them was wrong."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--slower", type=float, default=20.0, help="percent of CPU time a message; 0 for none")
    asked.add_argument("--aa", type=int, default=10, help="gates of two equal sides")
    asked.add_argument("--duration", default="0.8", help="seconds of each trial")
    asked.add_argument("--results", type=Path, help="folder in which the results of the gates are kept")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="ipclab-gate-") as temporary:
        folder = Path(temporary)
        results = given.results or folder / "results"
        wrong = int(bool(given.slower) and _slowed(folder, results, given.slower, given.duration))
        for number in range(given.aa):
            ended, found = _gate(folder, results, given.duration, os.environ, sys.executable)
            print(f"A/A {number + 1}: exit {ended}: {_told(found)}", flush=True)
            wrong += ended == 1
    sys.exit(bool(wrong))


def _slowed(folder: Path, results: Path, percent: float, duration: str) -> bool:
    costs = _costs(folder, duration)
    each_us = _round_us()
    rounds = {name: round(percent / 100 * costs[name] / each_us) for name in SLOWED}
    print(f"CPU µs a message: {costs}; rounds of {each_us * 1e3:.1f} ns to be {percent:g} % slower: {rounds}")
    site = folder / "site"
    info = site / "ipclab_burning-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-burning\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ipclab.backends]\nburning = ipclab_burning:Burning\n")
    (site / "ipclab_burning.py").write_text(PLUGIN.format(rounds=rounds))
    plain = folder / "python-without-plug-in"
    plain.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec "{sys.executable}" "$@"\n')
    plain.chmod(0o755)
    ended, found = _gate(
        folder, results, duration, {**os.environ, "PYTHONPATH": str(site)}, str(plain), show=True
    )
    named = {row["key"][1] for row in found["rows"] for one in row["metrics"] if one["word"] == "worse"}
    print(f"{percent:g} % slower: exit {ended}: {_told(found)}; named worse: {sorted(named)}", flush=True)
    return ended != 1 or named != set(SLOWED)


def _gate(
    folder: Path, results: Path, duration: str, environ: Any, other: str, *, show: bool = False
) -> tuple[int, dict[str, Any]]:
    words = [word for name in (*SLOWED, *ALONE) for word in ("--backend", name)]
    report = folder / "report"
    command = [sys.executable, "-P", "-m", "ipclab", "gate", "throughput", *words, *SHAPE]
    command += ["--duration", duration, "--warmup", "0.1", "--against", other, "--report", str(report)]
    command += ["--results", str(results)]
    ended = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode not in (0, 1, 3):
        sys.exit(f"a gate ended with {ended.returncode}, which is no verdict")
    if show or ended.returncode == 1:
        print(ended.stdout, flush=True)
    found: dict[str, Any] = json.loads((report / "comparison.json").read_text())
    return ended.returncode, found


def _costs(folder: Path, duration: str) -> dict[str, float]:
    """Return what a message costs each of the backends that are slowed down, in µs of CPU time."""
    words = [word for name in SLOWED for word in ("--backend", name)]
    command = [sys.executable, "-P", "-m", "ipclab", "run", "throughput", *words, *SHAPE, "--repeats", "3"]
    command += ["--duration", duration, "--format", "json", "--results", str(folder / "before")]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    rows = json.loads(ended.stdout)["rows"]
    return {row["backend"]: round(row["worker_cpu_us_per_message"]["median"], 2) for row in rows}


def _round_us() -> float:
    """Return the CPU time of one round of the burning loop, in µs."""
    counter = range(100_000)
    found = []
    for _ in range(9):
        before = time.process_time()
        for _ in counter:
            pass
        found.append((time.process_time() - before) / len(counter) * 1e6)
    return statistics.median(found)


def _told(found: dict[str, Any]) -> str:
    words = [
        f"{row['key'][1]} {one['metric']} {one['word']} {one['change']:+.1%}"
        for row in found["rows"]
        for one in row["metrics"]
        if one["gated"] and one["change"] is not None
    ]
    return f"{found['verdict']} ({', '.join(words)})"


if __name__ == "__main__":
    main()
