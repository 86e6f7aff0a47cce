"""What the lab costs where arrays are sent: its rate over that of a hand-written loop.

    python benchmarks/payload.py --pairs 9

Four ways to send an array of 16 MiB: ``queue``; ``queue`` with the array in shared memory; ``pipe`` with
pickle protocol 5 and its buffers beside the pickle; ``redis-list`` with a pickle. Each pair is one run of the
lab and one of the loops in ``plain_payload.py``, one right after the other, in alternating order. The figures
are the median of the ratios within pairs, and their quartiles. Both have at most two arrays under way.

What differs: the lab stamps each array at both ends and compares all of it with what was sent. The receiver
of the hand-written loop reads it once. The target is a ratio of 0.9. The exit code is 0 whatever the figures
are.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys

import plain_loops
import plain_payload
from overhead import Pairs, Rate, lab, table
from plain_count import Load
from rich.console import Console

from ipclab import brokers
from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import Broker
from ipclab.host import folders, segments
from ipclab.host import start_methods as startmethod
from ipclab.trial.spec import TrialSpec

TARGET = 0.9


def plain(spec: TrialSpec, broker: Broker | None) -> Rate:
    """Return the hand-written loop's rate."""
    load = Load(
        size_bytes=spec.size_bytes,
        warmup_s=spec.warmup_s,
        duration_s=spec.duration_s,
        backlog=spec.backlog,
        name=f"ipclab:bench-{secrets.token_hex(4)}:plain",
        url=broker.url if broker else None,
    )
    load.shared.update(backend=spec.backend.name, segments=f"{segments.prefix()}plain-")
    loops = plain_payload.LOOPS[spec.backend.name, spec.codec]
    try:
        sent, got = plain_loops.run(loops, load, startmethod.context(spec.start_method))
    finally:
        segments.sweep(segments.prefix())
    per_s = got.messages / got.wall_s
    return Rate(per_s, (sent.cpu_s / sent.wall_s + got.cpu_s / got.wall_s) / per_s * 1e6)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="The lab's rate over a hand-written loop's, for arrays.")
    parser.add_argument("--only", action="append", help="queue, queue+shm, pipe+pickle5 or redis-list+pickle")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--size", type=int, default=16 * 2**20, help="bytes of an array")
    parser.add_argument("--duration", type=float, default=1.0, help="seconds of the measured window")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds before it")
    parser.add_argument("--provider", choices=brokers.PROVIDERS, default="native")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    chosen = parser.parse_args()
    folders.own_temporary_files()
    found: list[tuple[TrialSpec, Pairs]] = []
    for name, codec in plain_payload.LOOPS:
        label = f"{name}+{codec}" if codec else name
        if chosen.only and label not in chosen.only:
            continue
        spec = TrialSpec(
            workload="stream",
            backend=Variant(name),
            payload=f"ndarray:{plain_payload.DTYPE.name}",
            codec=codec,
            size_bytes=chosen.size,
            duration_s=chosen.duration,
            warmup_s=chosen.warmup,
            start_method=startmethod.default(),
        )
        found.append((spec, Pairs(label, 1, target=TARGET)))
    kinds = sorted({kind for spec, _ in found if (kind := channel_class(spec.backend).broker)})
    with brokers.acquire(kinds, provider=chosen.provider, on_event=_tell) as fleet:
        for number in range(chosen.pairs):
            for spec, pairs in found:
                _measure(spec, pairs, fleet, lab_first=number % 2 == 0)
            _tell(f"pair {number + 1} of {chosen.pairs} is done")
    every = [pairs for _, pairs in found]
    if chosen.format == "json":
        print(json.dumps([pairs.summary() for pairs in every], indent=2))
    else:
        title = f"lab over plain loop, arrays of {chosen.size} B, 1→1, {chosen.duration:g} s"
        Console(width=120).print(table(every, title))


def _measure(spec: TrialSpec, pairs: Pairs, fleet: brokers.Fleet, *, lab_first: bool) -> None:
    kind = channel_class(spec.backend).broker
    if kind in fleet.missing:
        pairs.problem = fleet.missing[kind]
    if pairs.problem:
        return
    broker = fleet.brokers[kind] if kind else None
    try:
        if lab_first:
            ours = lab(spec, broker)
            theirs = plain(spec, broker)
        else:
            theirs = plain(spec, broker)
            ours = lab(spec, broker)
    except (RuntimeError, TimeoutError) as error:
        pairs.problem = str(error)
    else:
        pairs.pairs.append((ours, theirs))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
