"""Objects with a seeded error: each is caught by its name, on every run; and without one nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipclab.checks import check
from ipclab.history import History
from tests.support import seeded

QUEUE = {
    "drop": {"lost", "false-empty"},
    "duplicate": {"duplicated"},
    "swap": {"reordered"},
    "corrupt": {"phantom"},
    "damage": {"corrupted"},
    "phantom": {"phantom"},
    "false empty": {"false-empty"},
}
"""What each error of the queue shows as; a message that was corrupted or swapped away may show as more."""
DELIVERY = {
    "drop": "lost",
    "duplicate": "duplicated",
    "swap": "reordered",
    "corrupt": "phantom",
    "damage": "corrupted",
    "phantom": "phantom",
}
OTHERS: dict[str, tuple[Callable[[Path, str], History], str, str]] = {
    "register": (seeded.through_register, "stale read", "stale-read"),
    "register with cas": (seeded.through_cas, "lost update", "lost-update"),
    "counter that forgets": (seeded.through_counter, "lost update", "lost-update"),
    "counter that invents": (seeded.through_counter, "phantom", "phantom"),
    "lock for two": (seeded.through_lock, "two holders", "two-holders"),
    "lock whose token sticks": (seeded.through_lock, "stuck token", "token-not-rising"),
}
runs = pytest.mark.parametrize("run", range(3))


@runs
@pytest.mark.parametrize("error", QUEUE)
def test_an_error_of_a_queue_is_caught_by_name(tmp_path: Path, error: str, run: int) -> None:
    verdict = check(seeded.through_queue(tmp_path, error))
    assert verdict.verdict == "invalid"
    assert QUEUE[error] <= set(verdict.anomalies)
    assert verdict.counterexample is not None
    assert len(verdict.counterexample.operations) <= 4


@runs
@pytest.mark.parametrize("error", DELIVERY)
def test_an_error_of_a_channel_is_caught_by_name(tmp_path: Path, error: str, run: int) -> None:
    verdict = check(seeded.through_queue(tmp_path, error, "delivery"))
    assert verdict.verdict == "invalid"
    assert DELIVERY[error] in verdict.anomalies
    assert verdict.counterexample is not None
    assert len(verdict.counterexample.operations) <= 4


@runs
@pytest.mark.parametrize("what", OTHERS)
def test_an_error_of_another_object_is_caught_by_name(tmp_path: Path, what: str, run: int) -> None:
    through, error, anomaly = OTHERS[what]
    verdict = check(through(tmp_path, error))
    assert (verdict.verdict, set(verdict.anomalies)) == ("invalid", {anomaly})
    assert verdict.counterexample is not None
    assert len(verdict.counterexample.operations) <= 4


@pytest.mark.parametrize(
    "through",
    [
        seeded.through_queue,
        lambda folder, error: seeded.through_queue(folder, error, "delivery"),
        seeded.through_register,
        seeded.through_cas,
        seeded.through_counter,
        seeded.through_lock,
    ],
    ids=["queue", "delivery", "register", "cas", "counter", "lock"],
)
def test_without_an_error_nothing_is_found(tmp_path: Path, through: Callable[[Path, str], History]) -> None:
    verdict = check(through(tmp_path, ""))
    assert (verdict.verdict, verdict.anomalies, verdict.counterexample) == ("valid", {}, None)
