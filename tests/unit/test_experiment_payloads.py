"""What options for payloads and sizes make of the trials of an experiment."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from ipclab import experiment
from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.experiment import Request
from ipclab.payload import asked, sizes
from ipclab.payload.sizes import SizeRange
from ipclab.trial.spec import TrialSpec


def plan(name: str, *backends: str, **options: Any) -> list[TrialSpec]:
    if "size" in options:
        options["size_bytes"] = sizes.parse(options.pop("size"))
    if "payload" in options:
        options["payload"] = asked.parse(options["payload"])
    chosen = tuple(Variant.parse(backend) for backend in backends)
    return experiment.load(name).plan(Request(backends=chosen, repeats=1, **options)).trials


def test_a_list_of_sizes_is_a_sweep_and_a_range_is_one_trial() -> None:
    found = plan("latency", "queue", size="64,1KiB,2KiB-20k", rate_per_s=100.0)
    assert [spec.size for spec in found] == [64, 1024, SizeRange(2048, 20_000)]
    assert [spec.is_plain for spec in found] == [True, True, False]
    assert [spec.size_bytes for spec in found] == [64, 1024, 20_000]


def test_each_size_is_measured_once_in_each_repeat() -> None:
    request = Request(backends=(Variant("queue"),), size_bytes=sizes.parse("64,1KiB"), repeats=2)
    found = experiment.load("round_trip").plan(request).trials
    assert [(repeat, len(list(specs))) for repeat, specs in groupby(found, lambda s: s.repeat)] == [
        (0, 2),
        (1, 2),
    ]


def test_a_payload_travels_as_an_object_where_the_channel_takes_it_and_is_pickled_elsewhere() -> None:
    found = plan("round_trip", "queue", "manager-list", "pipe", "redis-stream", payload="dict:2KiB")
    assert [(str(s.backend), s.payload, s.codec, s.size_bytes) for s in found] == [
        ("queue", "dict", "", 2048),
        ("manager-list", "dict", "", 2048),
        ("pipe", "dict", "pickle", 2048),
        ("redis-stream", "dict", "pickle", 2048),
    ]
    (text,) = plan("round_trip", "pipe", payload="json:2KiB")
    assert text.codec == "json"


def test_a_codec_that_was_asked_for_is_used_by_every_channel() -> None:
    found = plan("round_trip", "queue", "pipe", payload="ndarray:float64:1MiB", codec="shm")
    assert [spec.codec for spec in found] == ["shm", "shm"]


def test_without_an_option_for_payloads_every_trial_is_of_plain_bytes() -> None:
    for name in ("throughput", "latency", "round_trip", "comparison"):
        assert all(spec.is_plain for spec in plan(name, "queue", "pipe"))


def test_sizes_from_two_options_are_refused() -> None:
    with pytest.raises(UsageError, match="has its size already"):
        plan("latency", "queue", payload="dict:2KiB", size="2KiB")


def test_the_experiment_payload_sends_every_kind_by_every_family_from_1_kib_to_64_mib() -> None:
    found = plan("payload")
    assert {spec.payload for spec in found} == {"dict", "json", "dataclass", "ndarray:float64"}
    assert {spec.codec for spec in found} == {"", "pickle", "pickle5", "json", "msgpack", "shm"}
    assert {spec.backend.name for spec in found} == {"queue", "pipe", "manager-queue", "redis-list"}
    assert (min(s.size_bytes for s in found), max(s.size_bytes for s in found)) == (1024, 64 * 2**20)
    assert len({repr(spec) for spec in found}) == len(found)


def test_the_experiment_payload_may_be_asked_for_one_payload_size_and_codec() -> None:
    found = plan("payload", "queue", payload="ndarray:int32", size="16MiB", codec="shm")
    assert [(s.payload, s.codec, s.size_bytes) for s in found] == [("ndarray:int32", "shm", 16 * 2**20)]
