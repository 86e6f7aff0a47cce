"""How long ``ipclab --help`` takes, from the start of the program to its end.

    python benchmarks/startup.py --runs 15

The bare interpreter (``python -c pass``) is measured in turn with it, so that what is the lab's own stands
apart. Medians and quartiles; CPU time beside wall time. The exit code is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET_S = 0.25


def run(command: list[str]) -> tuple[float, float]:
    """Return the seconds that it took, and the CPU seconds."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took_s, after = time.perf_counter() - began, os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return took_s, cpu_s


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="How long 'ipclab --help' takes.")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    chosen = parser.parse_args()
    program = Path(sys.executable).with_name("ipclab")
    commands = {
        "ipclab --help": [str(program), "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    for command in commands.values():
        run(command)  # the first run compiles and fills the disk cache
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(chosen.runs):
        for name, command in commands.items():
            times[name].append(run(command))
    rows = []
    for name, taken in times.items():
        low, median, high = statistics.quantiles((wall for wall, _ in taken), n=4, method="inclusive")
        rows.append(
            {
                "command": name,
                "runs": chosen.runs,
                "median_s": round(median, 4),
                "q1_s": round(low, 4),
                "q3_s": round(high, 4),
                "cpu_s": round(statistics.median(cpu for _, cpu in taken), 4),
            }
        )
    if chosen.format == "json":
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(
            f"{row['command']}: {row['median_s']} s (quartiles {row['q1_s']}–{row['q3_s']} s, "
            f"CPU {row['cpu_s']} s, {row['runs']} runs)"
        )
    print(f"target (< {TARGET_S} s) met: {'yes' if float(str(rows[0]['median_s'])) < TARGET_S else 'no'}")


if __name__ == "__main__":
    main()
