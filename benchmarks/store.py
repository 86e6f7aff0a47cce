"""What keeping the trials of a long run costs: time and bytes, for trials of about 2 kB each.

    python benchmarks/store.py [--trials 5000]

Prints the time to append every trial and to write the whole at the end, as a share of a run whose trials last
0.5 s, and the bytes written. To write the whole after every trial is shown beside it, by its bytes only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from ipclab import environment, lab
from ipclab.backends.registry import Variant
from ipclab.host import clock, start_methods
from ipclab.results.result import SCHEMA_VERSION, Result
from ipclab.results.store import Store
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

_TRIAL_S = 0.5


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=5000)
    count: int = parser.parse_args().trials
    spec = TrialSpec(workload="stream", backend=Variant("pipe"), start_method=start_methods.default(),
                     warmup_s=0.0, duration_s=0.1, size_bytes=64)  # fmt: skip
    record: TrialRecord = run_trial(spec, namespace="ipclab:benchmark:0")
    size_bytes = len(msgspec.json.encode(record))
    now = lab._now()
    result = Result(
        ipclab_result=SCHEMA_VERSION, experiment="store", question="", began_utc=now, ended_utc=now,
        complete=False, options={}, brokers=[], unavailable=[], trials=[],
        environment=environment.describe(start_methods.default(), clock.self_test(start_methods.default())),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=".") as folder:
        run = Store(Path(folder)).begin(result)
        began_s = time.monotonic()
        for number in range(count):
            run.append(number, record, now)
        appended_s = time.monotonic() - began_s
        journal_bytes = (run.folder / "trials.jsonl").stat().st_size
        began_s = time.monotonic()
        run.finish(msgspec.structs.replace(result, trials=[record] * count, complete=True), "")
        finished_s = time.monotonic() - began_s
        whole_bytes = (run.folder / "result.json").stat().st_size
    share = (appended_s + finished_s) / (count * _TRIAL_S)
    sys.stdout.write(
        f"{count} trials of {size_bytes} bytes: appended in {appended_s:.2f} s, written whole in "
        f"{finished_s:.2f} s, {share:.3%} of a run with trials of {_TRIAL_S:g} s\n"
        f"{(journal_bytes + whole_bytes) / 1e6:.1f} MB written; "
        f"{count * whole_bytes / 2e6:.0f} MB where the whole is written after every trial\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
