"""What the lab costs: its rate over the rate of the plainest hand-written loop, per backend.

    python benchmarks/overhead.py --backend pipe --backend redis-list --window 1 --pairs 9

Each pair is one run of the lab (the ``stream`` workload, one producer, one consumer) and one of the loop in
``plain_loops.py`` (with a window above 1, in ``plain_windows.py``), one right after the other, and the order
alternates from pair to pair, so that a slow minute of the machine hits both. What is told is the median of
the ratios within pairs, and their quartiles.

What makes the two comparable, and what is left to differ:

* the same two processes, start method, garbage collection, client library, connection settings, calls into
  the client, message size, window, confirms, acknowledgements, prefetch; with broker, the same server;
* the same length of warm-up and window. Both rates are *receipts* over time: the lab's within its window by
  the clock, the loop's between the arrival of a stop message at the end of the warm-up and the arrival of
  another one at the end of the window. Both start with a warm backlog and are drained afterwards;
* the same bound on the backlog (``--backlog``, and 16 MiB at most): without one, a fast producer takes the
  processor from the consumer and piles up memory, and the comparison would be of queue lengths. The plain
  loops apply it in the cheapest way there is, one comparison every 50 messages, and where the transport
  bounds itself (``pipe``, ``pipe-locked``, ``simple-queue``) not at all;
* the plain loop reads the clock and counts once every 50 messages and sends one body again and again; it
  stamps, checks and logs nothing, and has no adapter around the client (one that looks at the answers, or
  gives up on a message that does not come). That is the whole difference, and what the ratio shows.

Two figures that a busy machine disturbs less stand beside it: the plain loop's CPU time a message over the
lab's, producer and consumer together; and the lab's best run over the plain loop's best run. Where the
quartiles are far apart, others had the processors: measure again when the machine is quiet.

The exit code is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import plain_loops
import plain_windows
from plain_count import Load
from rich.console import Console
from rich.table import Table

from ipclab import brokers
from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import Broker
from ipclab.experiment import STANDARD_CHANNELS
from ipclab.host import start_methods as startmethod
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

WINDOWS = (1, 100)
TARGET = 0.95
TARGETS = {"pipe": 0.85, "simple-queue": 0.85}


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages received per second, and the CPU time that both workers took for one, in µs."""

    per_s: float
    cpu_us: float


@dataclass(slots=True)
class Pairs:
    """All pairs of one backend, or why there are none."""

    backend: str
    window: int
    pairs: list[tuple[Rate, Rate]] = field(default_factory=list)
    """Lab, plain."""
    problem: str = ""
    target: float | None = None
    """The ratio that is wanted; by default that of the backend."""

    def summary(self) -> dict[str, float | int | str | bool | list[float] | None]:
        """Return medians and spread, ready for JSON."""
        target = TARGETS.get(self.backend, TARGET) if self.target is None else self.target
        if not self.pairs:
            return {"backend": self.backend, "window": self.window, "pairs": 0, "problem": self.problem}
        ratios = [lab.per_s / plain.per_s for lab, plain in self.pairs]
        cpu = [plain.cpu_us / lab.cpu_us for lab, plain in self.pairs]
        low, high = quartiles(ratios)
        median = statistics.median(ratios)
        return {
            "backend": self.backend,
            "window": self.window,
            "pairs": len(self.pairs),
            "lab_per_s": statistics.median(lab.per_s for lab, _ in self.pairs),
            "plain_per_s": statistics.median(plain.per_s for _, plain in self.pairs),
            "ratio": median,
            "ratio_q1": low,
            "ratio_q3": high,
            "ratio_of_best": max(lab.per_s for lab, _ in self.pairs) / max(p.per_s for _, p in self.pairs),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "lab_cpu_us": statistics.median(lab.cpu_us for lab, _ in self.pairs),
            "plain_cpu_us": statistics.median(plain.cpu_us for _, plain in self.pairs),
            "cpu_ratio": statistics.median(cpu),
            "target": target,
            "target_met": median >= target,
            "lab_rates_per_s": [lab.per_s for lab, _ in self.pairs],
            "plain_rates_per_s": [plain.per_s for _, plain in self.pairs],
            "problem": self.problem,
        }


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile; for a single value, that value."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def lab(spec: TrialSpec, broker: Broker | None) -> Rate:
    """Return the lab's own rate."""
    record = run_trial(spec, namespace=f"ipclab:bench-{secrets.token_hex(4)}:lab", broker=broker)
    if record.outcome != "finished" or record.ledger is None or record.ledger.verdict != "valid":
        said = record.reason or (record.ledger and record.ledger.broken)
        raise RuntimeError(f"the lab's trial did not end well: {said}")
    assert record.received_per_s is not None
    assert record.cost is not None
    cpu_per_s = sum(w.cpu_s or 0.0 for w in record.cost.workers) / record.cost.interval_s
    return Rate(record.received_per_s, cpu_per_s / record.received_per_s * 1e6)


def plain(spec: TrialSpec, broker: Broker | None) -> Rate:
    """Return the hand-written loop's rate."""
    load = Load(
        size_bytes=spec.size_bytes,
        warmup_s=spec.warmup_s,
        duration_s=spec.duration_s,
        backlog=spec.backlog,
        name=f"ipclab:bench-{secrets.token_hex(4)}:plain",
        url=broker.url if broker else None,
        window=spec.window,
    )
    load.shared.update(backend=spec.backend.name, options=spec.backend.options)
    loops = (plain_loops.LOOPS if spec.window == 1 else plain_windows.WINDOWED)[spec.backend.name]
    sent, got = plain_loops.run(loops, load, startmethod.context(spec.start_method))
    per_s = got.messages / got.wall_s
    # Of messages received, as in the lab: a backlog that grows in the window costs a producer more in both.
    cpu_us = (sent.cpu_s / sent.wall_s + got.cpu_s / got.wall_s) / per_s * 1e6
    return Rate(per_s, cpu_us)


def measure(specs: list[TrialSpec], fleet: brokers.Fleet, count: int) -> list[Pairs]:
    """Measure all pairs, interleaved over the backends; leave out one that fails from then on."""
    found = [Pairs(str(spec.backend), spec.window) for spec in specs]
    for number in range(count):
        for spec, mine in zip(specs, found, strict=True):
            kind = channel_class(spec.backend).broker
            if kind in fleet.missing:
                mine.problem = fleet.missing[kind]
            if mine.problem:
                continue
            broker = fleet.brokers[kind] if kind else None
            try:
                if number % 2:
                    theirs = plain(spec, broker)
                    ours = lab(spec, broker)
                else:
                    ours = lab(spec, broker)
                    theirs = plain(spec, broker)
            except (RuntimeError, TimeoutError) as error:
                mine.problem = str(error)
            else:
                mine.pairs.append((ours, theirs))
        print(f"pair {number + 1} of {count} is done", file=sys.stderr, flush=True)
    return found


def table(found: list[Pairs], title: str) -> Table:
    """Return the figures as text."""
    shown = Table(title=title)
    shown.add_column("backend", overflow="fold")
    for name in (
        "window",
        "pairs",
        "lab /s",
        "plain /s",
        "ratio",
        "quartiles",
        "min–max",
        "CPU",
        "best",
        "target met",
    ):
        shown.add_column(name, justify="right")
    for row in (pairs.summary() for pairs in found):
        if not row["pairs"]:
            shown.add_row(str(row["backend"]), str(row["window"]), "0", str(row["problem"]))
            continue
        shown.add_row(
            str(row["backend"]),
            str(row["window"]),
            str(row["pairs"]),
            f"{row['lab_per_s']:,.0f}",
            f"{row['plain_per_s']:,.0f}",
            f"{row['ratio']:.3f}",
            f"{row['ratio_q1']:.3f}–{row['ratio_q3']:.3f}",
            f"{row['ratio_min']:.3f}–{row['ratio_max']:.3f}",
            f"{row['cpu_ratio']:.3f}",
            f"{row['ratio_of_best']:.3f}",
            f"{'yes' if row['target_met'] else 'no'} ({row['target']})",
        )
    return shown


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="The lab's rate over a hand-written loop's.")
    parser.add_argument("--backend", action="append", help="repeatable; all of the lab's by default")
    parser.add_argument("--window", action="append", type=int, help="repeatable; 1 and 100 by default")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--size", type=int, default=64, help="bytes of a message (64 or 1024, say)")
    parser.add_argument("--duration", type=float, default=1.0, help="seconds of the measured window")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds before it")
    parser.add_argument("--backlog", type=int, default=1000, help="messages under way at most, in both")
    parser.add_argument("--provider", choices=brokers.PROVIDERS, default="native")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    chosen = parser.parse_args()
    specs = [
        TrialSpec(
            workload="stream",
            backend=Variant.parse(name),
            size_bytes=chosen.size,
            window=window,
            duration_s=chosen.duration,
            warmup_s=chosen.warmup,
            max_backlog=chosen.backlog,
            start_method=startmethod.default(),
        )
        for window in chosen.window or WINDOWS
        for name in chosen.backend or STANDARD_CHANNELS
        if window == 1 or channel_class(Variant.parse(name)).windowed
    ]
    kinds: list[BrokerKind] = sorted({kind for s in specs if (kind := channel_class(s.backend).broker)})
    with brokers.acquire(kinds, provider=chosen.provider, on_event=_tell) as fleet:
        found = measure(specs, fleet, chosen.pairs)
    if chosen.format == "json":
        print(json.dumps([pairs.summary() for pairs in found], indent=2))
    else:
        title = f"lab over plain loop, 1→1, {chosen.size} B, {chosen.duration:g} s"
        Console(width=120).print(table(found, title))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
