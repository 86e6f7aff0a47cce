"""Every quick check against the search, on many small histories with open, unknown and failed operations.

The seeds are fixed, so a failure comes back; hypothesis explores beyond them in a second test.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipclab.checks.bounds import check_counter
from ipclab.checks.fifo import check_queue
from ipclab.checks.lock import check_lock
from ipclab.checks.models import STEPS, calls
from ipclab.checks.ranks import touching
from ipclab.checks.register import check_register
from ipclab.checks.search import search
from ipclab.checks.verdict import Findings
from ipclab.history import History
from ipclab.history.format import Model
from tests.support import histories

Check = Callable[[History], Findings]
Make = Callable[[random.Random], History]
EXACT: dict[Model, tuple[Check, Make]] = {
    "register": (check_register, histories.register),
    "queue": (check_queue, histories.queue),
    "lock": (check_lock, histories.lock),
}
SEEDS = pytest.mark.parametrize(
    "seeds", [range(1_500), pytest.param(range(1_500, 6_000), marks=pytest.mark.slow)], ids=["few", "many"]
)


def searched(history: History, model: Model) -> str:
    """What the search says, over all keys."""
    initial, step = STEPS[model]
    words = {search(some, initial, step).verdict for some in calls(history, model).values()}
    assert "unknown" not in words
    return "invalid" if "invalid" in words else "valid"


def quick(history: History, model: Model) -> str | None:
    """What the quick check says; None where it leaves the history to the search."""
    found = EXACT[model][0](history)
    if found.anomalies:
        counterexample = found.counterexample()
        assert counterexample is not None
        assert counterexample.operations
        return "invalid"
    return None if found.unfit or found.undecided or touching(history) else "valid"


def shown(history: History) -> str:
    return "\n".join(str(history.operation(i)) for i in range(len(history)))


@SEEDS
@pytest.mark.parametrize("model", EXACT)
def test_a_quick_check_says_what_the_search_says(model: Model, seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        history = EXACT[model][1](random.Random(seed))
        answer = quick(history, model)
        if answer is not None:
            assert answer == searched(history, model), f"seed {seed}:\n{shown(history)}"
        seen[str(answer)] += 1
    # Both answers must be common, or little was compared, and hardly anything left to the search.
    assert seen["valid"] > len(seeds) / 5
    assert seen["invalid"] > len(seeds) / 10
    assert seen["None"] < len(seeds) / 5


@pytest.mark.parametrize("model", EXACT)
@given(chance=st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_they_agree_on_whatever_else_is_tried(model: Model, chance: random.Random) -> None:
    history = EXACT[model][1](chance)
    answer = quick(history, model)
    assert answer is None or answer == searched(history, model)


@SEEDS
def test_a_counter_outside_of_its_bounds_fits_no_order(seeds: range) -> None:
    """The bounds are necessary: what they refuse the search refuses; what they let pass it may refuse."""
    seen: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        history = histories.counter(random.Random(seed))
        bounded = "invalid" if check_counter(history).anomalies else "valid"
        answer = searched(history, "counter")
        assert (bounded, answer) != ("invalid", "valid"), f"seed {seed}:\n{shown(history)}"
        seen[bounded, answer] += 1
    assert seen["valid", "valid"] > len(seeds) / 5
    assert seen["invalid", "invalid"] > 10 * seen["valid", "invalid"] > 0


@pytest.mark.parametrize("model", [*EXACT, "counter"])
def test_a_history_of_a_right_object_is_valid(model: Model) -> None:
    make = getattr(histories, model)
    for seed in range(500):
        assert searched(make(random.Random(seed), 0.0), model) == "valid"
