"""The search itself, which all else is held against: it says what trying every order says."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from ipclab.checks.models import IMPOSSIBLE, STEPS, Call, calls
from ipclab.checks.search import search
from ipclab.checks.shrink import _groups, shrink
from ipclab.history.format import Model
from tests.support import histories
from tests.support.histories import Row, history_of, maimed, schedule

SMALL = 2_000


def cas(chance: random.Random, operations: int = 5) -> list[Call]:
    """Reads, writes and cas, some of which fail, of three values, so that values come back; about half of
    them fit an order."""
    state: Any = None
    rows: list[Row] = []
    for who, start, end, _ in schedule(chance, chance.randrange(2, operations + 1), 3):
        f = chance.choice(("read", "write", "cas", "miss"))
        if f == "miss":
            other = chance.choice([n for n in range(3) if n != state])
            rows.append((who, "cas", [other, 3], start, end, "fail"))
            continue
        new = chance.randrange(3)
        old = state if chance.random() < 0.8 else chance.randrange(3)
        rows.append((who, f, {"read": old, "write": new, "cas": [old, new]}[f], start, end, "ok"))
        state = old if f == "read" else new
    return calls(history_of(maimed(chance, rows), "register"), "register").get(0, [])


def made(model: str, chance: random.Random) -> list[Call]:
    if model == "cas":
        return cas(chance)
    name: Model = model  # type: ignore[assignment]
    return calls(getattr(histories, model)(chance), name).get(0, [])


def by_trying_everything(some: Sequence[Call], model: Model) -> str:
    """Every order of the required operations with every choice of the others that the intervals allow."""
    initial, step = STEPS[model]
    must = [c for c in some if c.required]
    may = [c for c in some if not c.required]
    for count in range(len(may) + 1):
        for chosen in itertools.combinations(may, count):
            for order in itertools.permutations([*must, *chosen]):
                pairs = list(itertools.combinations(order, 2))
                if all(a.start < b.end and a.after != b.place for a, b in pairs):
                    state = initial
                    for call in order:
                        state = step(state, call.f, call.value)
                        if state is IMPOSSIBLE:
                            break
                    else:
                        return "valid"
    return "invalid"


@pytest.mark.parametrize("model", ["register", "queue", "counter", "lock", "cas"])
def test_the_search_says_what_trying_every_order_says(model: str) -> None:
    name: Model = "register" if model == "cas" else model  # type: ignore[assignment]
    seen: Counter[str] = Counter()
    for seed in range(SMALL):
        some = made(model, random.Random(seed))
        if not 2 <= len(some) <= 5:
            continue
        answer = search(some, *STEPS[name]).verdict
        assert answer == by_trying_everything(some, name), f"seed {seed}: {some}"
        seen[answer] += 1
    assert min(seen["valid"], seen["invalid"]) > 20


@pytest.mark.parametrize("model", ["register", "queue", "counter", "lock", "cas"])
def test_what_shrinking_leaves_out_never_makes_a_right_history_wrong(model: str) -> None:
    name: Model = "register" if model == "cas" else model  # type: ignore[assignment]
    tried = 0
    for seed in range(SMALL):
        some = made(model, random.Random(seed))
        if search(some, *STEPS[name]).verdict != "valid":
            continue
        for group in _groups(some, name):
            tried += 1
            rest = [c for c in some if c.place not in group]
            assert search(rest, *STEPS[name]).verdict == "valid", f"seed {seed}"
    assert tried > 500


@pytest.mark.parametrize("model", ["register", "queue", "lock", "cas"])
def test_what_is_left_after_shrinking_fits_no_order_either(model: str) -> None:
    name: Model = "register" if model == "cas" else model  # type: ignore[assignment]
    sizes = []
    for seed in range(SMALL // 4):
        chance = random.Random(seed)
        some = cas(chance, 12) if model == "cas" else made(model, chance)
        if search(some, *STEPS[name]).verdict != "invalid":
            continue
        left = shrink(some, name, float("inf"))
        assert search(left, *STEPS[name]).verdict == "invalid"
        assert {c.place for c in left} <= {c.place for c in some}
        sizes.append((len(left), len(some)))
    assert sum(left for left, _ in sizes) < 0.7 * sum(whole for _, whole in sizes)


def test_a_search_stops_at_its_limit_of_steps() -> None:
    many = [Call("write", n % 3, n, 1000 + n, True, n) for n in range(30)]
    many += [Call("read", n, 3000 + 2 * n, 3001 + 2 * n, True, 100 + n) for n in range(2)]
    outcome = search(many, *STEPS["register"], most_steps=500)
    assert (outcome.verdict, outcome.steps) == ("unknown", 501)


def test_a_long_history_with_little_at_once_is_searched_quickly() -> None:
    """Linear in the length, also with operations that never ended: a step for each operation."""
    some = [Call("write", n, 10 * n, 10 * n + 15, True, n) for n in range(20_000)]
    some += [Call("write", -n, 100 * n, 10**9 + n, False, 10**6 + n) for n in range(1, 4)]
    outcome = search(some, *STEPS["register"])
    assert outcome.verdict == "valid"
    assert outcome.steps < 3 * len(some)
