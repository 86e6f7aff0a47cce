"""How long it takes, and how much memory, to account for ten million messages.

    python benchmarks/ledger.py --messages 10000000

Writes the logs that a stream of that length leaves (send times, receipts with stamped headers and their
tails), spread over one or four producers and consumers, and then has `ipclab.trial.analysis.delivery()` do in
a process of its own what it does after every trial: CRC of each header, each tail, lost, duplicated,
unexpected and reordered messages, goodput within the window. With ``--flawed``, one receipt in a thousand
bears another message's number, so that messages are lost and doubled. The exit code is 0 whatever the figures
are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from ipclab.backends.base import Guarantees
from ipclab.backends.registry import Variant
from ipclab.trial import analysis, rawlog
from ipclab.trial.message import HEADER, header_crcs, trial_mark
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import content, receipts_path, sends_path, tails

TARGET_S = 5.0
TARGET_BYTES = 400_000_000
GAP_NS = 2000
PROMISES = Guarantees(
    delivery="at-most-once",
    may_lose=frozenset(),
    order="per-producer",
    durability="none",
    confirm="written",
    reach="host",
)


def spec_of(workers: int) -> TrialSpec:
    """Return the spec of a stream between this many producers and as many consumers."""
    backend = Variant("pipe-locked")
    return TrialSpec(workload="stream", backend=backend, producers=workers, consumers=workers, size_bytes=64)


def write(folder: Path, workers: int, messages: int, *, flawed: bool) -> None:
    """Write the logs of a trial. Consumers take the producers' messages in turn, as from one queue."""
    spec, each = spec_of(workers), messages // workers
    times_ns = np.arange(1, each + 1, dtype=np.int64) * GAP_NS
    for worker in range(workers):
        with sends_path(folder, f"producer-{worker}").open("wb") as file:
            file.write(rawlog.start(each, times_ns.itemsize) + times_ns.tobytes())
    producer = np.tile(np.arange(workers), each)
    sequence = np.repeat(np.arange(each), workers)
    own_tails = tails(spec, content(spec, ""))
    crc_of = np.array([zlib.crc32(own) for own in own_tails], np.uint32)
    record = rawlog.receipt(rawlog.receipt_bytes(spec.size_bytes))
    tail_of = np.frombuffer(b"".join(own_tails), record["tail"])
    for worker in range(workers):
        receipts = np.zeros(each, record)
        mine = _runs(worker, workers, each)
        header = np.zeros(each, HEADER)
        header["producer"], header["sequence"] = producer[mine], sequence[mine]
        header["trial"] = trial_mark(content(spec, ""))
        if flawed:
            header["sequence"][::1000] += 1
        header["crc"] = header_crcs(header, crc_of[header["producer"]])
        receipts["time_ns"], receipts["header"] = times_ns + 500, header
        receipts["tail"] = tail_of[header["producer"]]
        with receipts_path(folder, f"consumer-{worker}").open("wb") as file:
            file.write(rawlog.start(each, record.itemsize))
            receipts.tofile(file)


def _runs(worker: int, workers: int, each: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return which messages this consumer took: one of each producer, then the next consumer's turn."""
    places = np.arange(each * workers).reshape(-1, workers * workers)
    return places[:, worker * workers : (worker + 1) * workers].ravel()


def peak_rss_bytes() -> int:
    """Return the peak of this program alone; getrusage() includes the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def verify(folder: Path, workers: int, messages: int) -> dict[str, object]:
    """Account for all of it; to be called in a fresh process."""
    spec, each = spec_of(workers), messages // workers
    before_bytes, began, cpu = peak_rss_bytes(), time.perf_counter(), time.process_time()
    found = analysis.delivery(
        spec,
        PROMISES,
        folder,
        analysis.Window(each * GAP_NS // 4, each * GAP_NS),
        finished={f"producer-{i}": each for i in range(workers)},
        due_ns={},
        complete=True,
        content=content(spec, ""),
    )
    return {
        "messages": messages,
        "shape": spec.shape,
        "wall_s": round(time.perf_counter() - began, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        "peak_rss_bytes": peak_rss_bytes(),
        "rss_before_bytes": before_bytes,
        "good": found.good,
        "lost": found.ledger.lost,
        "duplicated": found.ledger.duplicated,
        "reordered": found.ledger.reordered,
        "corrupted": found.ledger.corrupted,
        "verdict": found.ledger.verdict,
    }


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Time and memory to account for many messages.")
    parser.add_argument("--messages", type=int, default=10_000_000, help="a multiple of 16")
    parser.add_argument("--flawed", action="store_true", help="with lost and doubled messages")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--write", type=int, metavar="WORKERS", help=argparse.SUPPRESS)
    parser.add_argument("--verify", type=int, metavar="WORKERS", help=argparse.SUPPRESS)
    parser.add_argument("--logs", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.verify:
        print(json.dumps(verify(chosen.logs, chosen.verify, chosen.messages)))
        return
    if chosen.write:
        write(chosen.logs, chosen.write, chosen.messages, flawed=chosen.flawed)
        return
    rows = [measure(workers, chosen.messages, flawed=chosen.flawed) for workers in (1, 4)]
    if chosen.format == "json":
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        met = float(str(row["wall_s"])) < TARGET_S and int(str(row["peak_rss_bytes"])) < TARGET_BYTES
        print(
            f"{row['shape']}: {row['messages']:,} messages in {row['wall_s']} s ({row['cpu_s']} s CPU), "
            f"{int(str(row['peak_rss_bytes'])) / 1e6:.0f} MB peak; lost {row['lost']}, duplicated "
            f"{row['duplicated']}, reordered {row['reordered']}, corrupted {row['corrupted']}, "
            f"{row['verdict']}; target (< {TARGET_S:g} s, < {TARGET_BYTES / 1e6:.0f} MB) met: "
            f"{'yes' if met else 'no'}"
        )


def measure(workers: int, messages: int, *, flawed: bool) -> dict[str, object]:
    """Measure one shape, in a folder of its own and a process of its own."""
    with tempfile.TemporaryDirectory(prefix="ipclab-ledger-") as folder:
        command = [sys.executable, __file__, "--logs", folder, "--messages", str(messages)]
        flaws = ["--flawed"] if flawed else []
        subprocess.run([*command, *flaws, "--write", str(workers)], check=True)
        done = subprocess.run(
            [*command, "--verify", str(workers)], check=True, stdout=subprocess.PIPE, text=True
        )
    row: dict[str, object] = json.loads(done.stdout)
    return row


if __name__ == "__main__":
    main()
