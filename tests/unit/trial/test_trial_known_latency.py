"""The percentiles of a paced trial on a channel whose delays are known: from raw logs to the judgement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ipclab.trial import analysis, rawlog
from ipclab.trial.analysis import Window
from ipclab.trial.distribution import beyond, merge, unchecked
from ipclab.trial.message import HEADER, HEADER_BYTES, stamp, tail
from ipclab.trial.pacing import planned
from ipclab.trial.record import Latency
from ipclab.trial.worker import receipts_path, returns_path, sends_path
from tests.support.records import Make
from tests.unit.trial.test_trial_integrity import MARK, PROMISES, SEED

SPEC = Make().spec(
    "paced", "pipe", size_bytes=64, seed=SEED, rate_per_s=20_000.0, warmup_s=0.1, duration_s=1.0
)
LIMIT_NS = 2_000_000
Times = npt.NDArray[np.int64]


def logged(folder: Path, delays: Times, lateness: Times) -> Latency:
    """The latencies that the lab reads off the logs of a channel with these delays, whose producer began each
    send so late."""
    due = np.array(planned(SPEC, 0), np.int64) + 1
    sent, count = due + lateness, len(due)
    for path, times in ((sends_path, sent), (returns_path, sent + 500)):
        rawlog.create(path(folder, "producer-0"), 8, count)
        np.memmap(path(folder, "producer-0"), np.int64, "r+", rawlog.START_BYTES, (count,))[:] = times
    rawlog.create(receipts_path(folder, "consumer-0"), rawlog.receipt_bytes(64), count)
    record = rawlog.receipt(rawlog.receipt_bytes(64))
    receipts = np.memmap(receipts_path(folder, "consumer-0"), record, "r+", rawlog.START_BYTES, (count,))
    bodies = np.frombuffer(stamp(0, 0, count, tail(SEED, 0, 64), MARK), np.uint8).reshape(count, 64)
    receipts["time_ns"] = sent + delays
    receipts["header"] = np.ascontiguousarray(bodies[:, :HEADER_BYTES]).view(HEADER).reshape(count)
    receipts["tail"] = np.ascontiguousarray(bodies[:, HEADER_BYTES:]).view(record["tail"]).reshape(count)
    receipts.flush()
    window_ns = int(SPEC.warmup_s * 1e9) + 1
    found = analysis.delivery(
        SPEC,
        PROMISES,
        folder,
        Window(window_ns, window_ns + int(SPEC.duration_s * 1e9)),
        finished={"producer-0": count},
        due_ns={0: due},
        complete=True,
        content=str(SEED),
    )
    assert found.ledger.verdict == "valid"
    return found.latency


def within_window(values: Times) -> Times:
    """The values of the messages that were due in the window."""
    return values[np.array(planned(SPEC, 0)) >= int(SPEC.warmup_s * 1e9)]


def drawn(seed: int) -> Times:
    """Delays of a distribution with a long tail: 0.2 ms in the median, 2 ms at p99."""
    many = len(planned(SPEC, 0))
    return np.random.default_rng(seed).lognormal(np.log(200_000), 1.0, many).astype(np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_the_percentiles_are_those_of_the_known_delays(tmp_path: Path, seed: int) -> None:
    delays = drawn(seed)
    found = logged(tmp_path, delays, np.zeros_like(delays)).end_to_end
    assert found is not None
    known = within_window(delays)
    for share, value in ((0.5, found.p50_ns), (0.9, found.p90_ns), (0.99, found.p99_ns)):
        assert value == int(np.quantile(known, share, method="inverted_cdf"))
    merged = merge([found, found])
    assert merged is not None
    assert merged.p99_ns == pytest.approx(found.p99_ns, rel=0.001)
    assert unchecked(found, 0.99) == pytest.approx(found.p99_ns, rel=0.001)


def test_the_count_beyond_a_limit_is_that_of_the_known_delays(tmp_path: Path) -> None:
    delays = drawn(4)
    found = logged(tmp_path, delays, np.zeros_like(delays)).end_to_end
    assert found is not None
    known = within_window(delays)
    # Samples within a thousandth of the limit may fall on either side of it.
    least, most = (int((known > LIMIT_NS * factor).sum()) for factor in (1.001, 0.999))
    assert least <= beyond(found, LIMIT_NS) <= most
    assert most > 0


def test_what_the_producer_is_late_counts_from_when_a_message_was_due(tmp_path: Path) -> None:
    """A stall of the producer of 5 ms every 50 ms: a closed loop would see none of it."""
    delays = np.full(len(planned(SPEC, 0)), 100_000, np.int64)
    into_stall = np.array(planned(SPEC, 0)) % 50_000_000
    lateness = np.where(into_stall < 5_000_000, 5_000_000 - into_stall, 0)
    found = logged(tmp_path, delays, lateness)
    assert found.end_to_end is not None
    assert found.service is not None
    known = within_window(delays + lateness)
    assert found.end_to_end.p99_ns == int(np.quantile(known, 0.99, method="inverted_cdf")) > 4_000_000
    assert found.service.p99_ns == 100_000
    assert found.late_sends == int((within_window(lateness) > 1_000_000).sum())
