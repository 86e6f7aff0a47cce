"""A process that a fault ends frees its lock at its end: by SIGTERM as by SIGKILL."""

from __future__ import annotations

import msgspec
import pytest

from ipclab.checks import check
from ipclab.history.reader import parse

FIRST = [
    {"process": 1, "type": "invoke", "f": "acquire", "time": 1},
    {"process": 1, "type": "ok", "f": "acquire", "time": 2},
]


def verdict_of(*lines: dict[str, object]) -> str:
    every = [{"ipclab_history": 1, "model": "lock", "reentrant": False}, *lines]
    return check(parse([msgspec.json.encode(line) + b"\n" for line in every])).verdict


def fault(name: str, time: int) -> dict[str, object]:
    return {"process": "fault", "type": "info", "f": name, "value": "1", "time": time}


def acquired(process: int, start: int) -> list[dict[str, object]]:
    return [
        {"process": process, "type": "invoke", "f": "acquire", "time": start},
        {"process": process, "type": "ok", "f": "acquire", "time": start + 2},
    ]


@pytest.mark.parametrize("name", ["kill", "terminate"])
def test_the_end_of_a_holder_frees_its_lock(name: str) -> None:
    assert verdict_of(*FIRST, fault(name, 5), *acquired(2, 10)) == "valid"


@pytest.mark.parametrize("name", ["kill", "terminate"])
def test_a_lock_is_not_free_before_its_holder_is_ended(name: str) -> None:
    assert verdict_of(*FIRST, *acquired(2, 10), fault(name, 20)) == "invalid"


@pytest.mark.parametrize("name", ["kill", "terminate"])
def test_what_a_process_acquires_after_the_signal_is_freed_by_its_end_too(name: str) -> None:
    assert verdict_of(fault(name, 1), *acquired(1, 5), *acquired(2, 10)) == "valid"


def test_a_fault_that_ends_nobody_frees_nothing() -> None:
    assert verdict_of(*FIRST, fault("pause", 5), *acquired(2, 10)) == "invalid"
