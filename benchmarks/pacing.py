"""Whether a paced producer offers what it should, and what CPU it takes for that.

    python benchmarks/pacing.py --rate 1000 --rate 100000 --backend pipe

For each rate: what the schedule has within the window, what was sent within it, the largest lateness among
99 % of the sends, and the share of a core that the producer used. Where others have the processors, sends are
late or skipped: the last column says how many cores they used. The exit code is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from ipclab.backends.registry import Variant
from ipclab.host import start_methods as startmethod
from ipclab.results import units
from ipclab.trial.distribution import unchecked
from ipclab.trial.pacing import planned
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

RATES = (1_000.0, 5_000.0, 10_000.0, 50_000.0, 100_000.0, 200_000.0)
HEADS = ("offered", "due", "sent", "share", "p99 of confirm", "producer CPU", "others")


def spec_of(rate_per_s: float, backend: str, seconds: float, arrivals: str) -> TrialSpec:
    """Return a trial of one producer at this rate."""
    return TrialSpec(
        workload="paced",
        backend=Variant.parse(backend),
        size_bytes=64,
        rate_per_s=rate_per_s,
        arrivals=arrivals,
        warmup_s=0.2,
        duration_s=seconds,
        start_method=startmethod.default(),
    )


def cells(record: TrialRecord) -> list[str]:
    """Return the line of a trial."""
    spec = record.spec
    offered = units.given_rate(spec.rate_per_s or 0.0)
    if record.outcome != "finished" or record.cost is None or record.latency.send is None:
        return [offered, record.outcome, record.reason[:40], "", "", "", ""]
    due = sum(at_ns >= spec.warmup_s * 1e9 for at_ns in planned(spec, 0))
    sent = record.latency.send.count
    (cpu_s,) = [worker.cpu_s for worker in record.cost.workers if worker.name == "producer-0"]
    confirm = record.latency.confirm
    late_ns = unchecked(confirm, 0.99) if confirm is not None else None
    others = record.cost.others_cores
    return [
        offered,
        units.count(due),
        units.count(sent),
        f"{sent / due * 100:.1f}%",
        units.NOT_TOLD if late_ns is None else units.duration(late_ns),
        units.NOT_TOLD if cpu_s is None else f"{cpu_s / record.cost.interval_s * 100:.0f}% of a core",
        units.NOT_TOLD if others is None else f"{others:.1f}",
    ]


def main() -> None:
    """Measure every rate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, action="append", help="messages a second; repeatable")
    parser.add_argument("--backend", default="pipe")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--arrivals", default="constant")
    asked = parser.parse_args()
    table = Table(*HEADS)
    for number, rate in enumerate(asked.rate or RATES):
        spec = spec_of(rate, asked.backend, asked.seconds, asked.arrivals)
        table.add_row(*cells(run_trial(spec, namespace=f"ipclab:pacing:{number}")))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
