"""Trials with payloads: real processes, and what their records say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.registry import Variant
from ipclab.errors import MessageTooLargeError, UsageError
from ipclab.host import segments
from ipclab.results.rows.build import rows
from ipclab.results.verdict import of_trial
from ipclab.trial.check import check
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support import mutating


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    every = {**registry._channels(), **{c.name: c for c in mutating.CHANNELS}}
    monkeypatch.setattr(registry, "_channels", lambda: every)


def spec_of(backend: str, payload: str, **settings: Any) -> TrialSpec:
    return TrialSpec(
        **{
            "workload": "stream",
            "backend": Variant.parse(backend),
            "payload": payload,
            "size_bytes": 2048,
            "warmup_s": 0.0,
            "duration_s": 0.1,
            "start_method": "fork",
            **settings,
        }
    )


def run(backend: str, payload: str, *, at_least: int = 1, **settings: Any) -> TrialRecord:
    """Run a trial with a window in which so many messages are sent, however slow the machine is."""
    for duration_s in (0.1, 1.0, 10.0, 30.0):
        spec = spec_of(backend, payload, duration_s=duration_s, **settings)
        record = run_trial(spec, namespace="ipclab:unit:0")
        if record.outcome != "finished" or (record.ledger and record.ledger.attempted >= at_least):
            break
    return record


def require_sound(record: TrialRecord) -> None:
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert record.ledger.verdict == "valid", record.ledger
    assert record.ledger.received == record.ledger.attempted > 0
    assert record.ledger.corrupted == 0
    assert record.segments_left == 0


@pytest.mark.parametrize(
    ("backend", "payload", "settings"),
    [
        ("queue", "dict", {}),
        ("queue", "ndarray:float64", {"codec": "shm", "producers": 2, "consumers": 2}),
        ("queue", "ndarray:float64", {"smallest_bytes": 64, "producers": 2}),
        ("pipe", "ndarray:float32", {"codec": "pickle5", "size_bytes": 2**20}),
        ("pipe", "json", {"codec": "json", "smallest_bytes": 500}),
        ("pipe-locked", "dataclass", {"codec": "msgpack", "consumers": 2}),
        ("manager-dict", "dict", {}),
        ("pipe", "bytes", {"smallest_bytes": 100}),
        ("queue", "dict", {"workload": "paced", "rate_per_s": 200.0}),
        ("queue", "ndarray:float64", {"workload": "ping-pong", "codec": "shm"}),
    ],
    ids=lambda value: str(value),
)
def test_payloads_of_every_form_are_all_accounted_for(
    backend: str, payload: str, settings: dict[str, Any]
) -> None:
    record = run(backend, payload, **settings)
    require_sound(record)
    assert record.serialising is not None
    # A pipe carries bytes as they are, so there is nothing to serialise.
    serialises = payload != "bytes"
    assert (record.serialising.encode_us_per_message > 0) == serialises
    assert (record.serialising.decode_us_per_message > 0) == serialises


@pytest.mark.slow
def test_workers_that_are_spawned_carry_payloads_too() -> None:
    require_sound(run("queue", "ndarray:float64", codec="shm", start_method="spawn"))


@pytest.mark.parametrize("backend", ["mutated", "flipping"])
def test_an_array_that_was_changed_on_its_way_or_after_put_is_corrupted(backend: str) -> None:
    record = run(backend, "ndarray:float64", size_bytes=64 * 1024, at_least=2 * mutating.EVERY, drain_s=0.1)
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert record.ledger.corrupted >= record.ledger.received // mutating.EVERY > 0
    assert (record.ledger.unexpected, record.ledger.duplicated) == (0, 0)
    assert of_trial(record) == "broken"


def test_segments_that_nobody_received_are_counted_and_unlinked() -> None:
    record = run("vanishing", "ndarray:float64", codec="shm", drain_s=0.1, at_least=2 * mutating.EVERY)
    assert record.ledger is not None
    assert record.segments_left == record.ledger.lost > 0
    assert rows([record])[0].segments_left == record.segments_left
    assert segments.sweep(segments.prefix()) == 0


def test_no_segment_is_left_where_a_worker_is_killed() -> None:
    record = run("falling", "ndarray:float64", codec="shm", at_least=1000)
    assert record.outcome == "failed"
    assert record.segments_left > 0
    assert segments.sweep(segments.prefix()) == 0


LAB = """
import threading, os, sys, signal
from ipclab.backends.registry import Variant
from ipclab.host import folders, segments
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
folders.own_temporary_files()
print(segments.prefix(), flush=True)
run_trial(TrialSpec(workload="stream", backend=Variant("queue"), payload="ndarray:uint8", codec="shm",
    size_bytes=2**20, duration_s=60.0, warmup_s=0.0, start_method=sys.argv[1]), namespace="ipclab:unit:0")
"""


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_no_segment_is_left_after_the_lab_was_killed_with_all_segments_in_use(start_method: str) -> None:

    def some() -> bool:
        return any(segments.FOLDER.glob(f"{prefix}*"))

    command = [sys.executable, "-c", LAB, start_method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        prefix = lab.stdout.readline().strip()
        deadline = time.monotonic() + 60
        while not some() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert some()
        os.kill(lab.pid, signal.SIGKILL)
        # All processes of the lab held the other end of this pipe.
        assert lab.stdout.read() == ""
    deadline = time.monotonic() + 60
    while some() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not some()


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        (spec_of("pipe", "dict"), UsageError, "pipe carries bytes, so the payload dict needs a codec"),
        (spec_of("pipe", "dict", codec="shm"), UsageError, "the codec shm does not carry"),
        (spec_of("queue", "dict", size_bytes=100), UsageError, "at least 420 bytes"),
        (spec_of("queue", "dict", size_bytes=2**25), MessageTooLargeError, "at most 16777216 bytes"),
        (spec_of("queue", "bytes", smallest_bytes=4096), UsageError, "larger than the largest"),
        (spec_of("queue", "ndarray"), UsageError, "is written ndarray:float64"),
        (spec_of("queue", "dict", workload="order"), UsageError, "order sends bytes of its own"),
        (
            spec_of("queue", "ndarray:float64", codec="shm", work="1ms", work_fail_share=0.1),
            UsageError,
            "leave out --work-fail",
        ),
        (
            spec_of("redis-pubsub", "ndarray:float64", codec="shm", consumers=2),
            UsageError,
            "for one receiver",
        ),
        (
            spec_of("memcached-ticket", "ndarray:float64", codec="pickle", size_bytes=2**24),
            MessageTooLargeError,
            "carries messages of",
        ),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_in_one_line(
    spec: TrialSpec, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        check(spec)


def test_a_channel_with_a_limit_carries_large_arrays_by_name() -> None:
    check(spec_of("memcached-ticket", "ndarray:float64", codec="shm", size_bytes=2**24))


def test_rows_of_bytes_and_of_payloads_are_apart() -> None:
    trials = [run("simple-queue", payload) for payload in ("bytes", "dict")]
    plain, objects = rows(trials)
    assert (plain.payload, plain.codec, plain.serialising_share) == ("bytes", "", None)
    assert objects.payload == "dict"
    assert objects.serialising_share is not None
    assert 0 < objects.serialising_share.median <= 1


def test_the_cost_of_the_labs_own_check_is_apart_from_that_of_decoding() -> None:
    found = run("simple-queue", "dict").serialising
    assert found is not None
    assert found.check_us_per_message > 0
