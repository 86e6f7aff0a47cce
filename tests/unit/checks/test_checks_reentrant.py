"""A lock whose holder may acquire it again: judged by what its header says, and as the search judges it."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from ipclab.checks import check
from ipclab.checks.lock import check_lock
from ipclab.checks.models import REENTRANT, calls
from ipclab.checks.ranks import touching
from ipclab.checks.search import search
from ipclab.history import History, parse

Step = tuple[int, str, str]
"""Process, operation, outcome."""


def history(steps: list[Step], reentrant: bool | None = True, **header: Any) -> History:
    """Operations one after the other."""
    head: dict[str, Any] = {"ipclab_history": 1, "model": "lock", **header}
    if reentrant is not None:
        head["reentrant"] = reentrant
    lines = [msgspec.json.encode(head) + b"\n"]
    for i, (process, f, outcome) in enumerate(steps):
        for kind, time in (("invoke", 10 * i), (outcome, 10 * i + 5)):
            line = {"process": process, "type": kind, "f": f, "time": time}
            lines.append(msgspec.json.encode(line) + b"\n")
    return parse(lines)


A, R = "acquire", "release"
NESTED: list[Step] = [(1, A, "ok"), (1, A, "ok"), (1, R, "ok"), (1, R, "ok"), (2, A, "ok"), (2, R, "ok")]


def test_a_right_reentrant_lock_is_valid_where_the_header_says_so() -> None:
    assert check(history(NESTED)).verdict == "valid"


def test_without_a_word_in_the_header_it_is_unknown_and_never_invalid() -> None:
    verdict = check(history(NESTED, None))
    assert verdict.verdict == "unknown"
    assert '"reentrant"' in verdict.reason


def test_a_lock_that_says_it_is_not_reentrant_and_lets_its_holder_in_again_is_invalid() -> None:
    assert check(history(NESTED, False)).verdict == "invalid"


@pytest.mark.parametrize("reentrant", [True, None])
@pytest.mark.parametrize(
    ("steps", "anomaly"),
    [
        ([(1, A, "ok"), (1, A, "ok"), (1, R, "ok"), (2, A, "ok")], "two-holders"),
        ([(1, A, "ok"), (1, A, "ok"), (2, A, "ok")], "two-holders"),
        ([(1, A, "ok"), (1, A, "ok"), (1, R, "ok"), (1, R, "ok"), (1, R, "ok")], "release-without-hold"),
    ],
)
def test_a_wrong_one_is_invalid_whatever_the_header_says(
    steps: list[Step], anomaly: str, reentrant: bool | None
) -> None:
    verdict = check(history(steps, reentrant))
    assert verdict.verdict == "invalid"
    assert anomaly in verdict.anomalies


def test_a_kill_frees_a_lock_however_deep_it_was_held() -> None:
    lines = [
        {"ipclab_history": 1, "model": "lock", "reentrant": True},
        {"process": 1, "type": "invoke", "f": A, "time": 0},
        {"process": 1, "type": "ok", "f": A, "time": 1},
        {"process": 1, "type": "invoke", "f": A, "time": 2},
        {"process": 1, "type": "ok", "f": A, "time": 3},
        {"process": "fault", "type": "info", "f": "kill", "value": "1", "time": 4},
        {"process": 2, "type": "invoke", "f": A, "time": 5},
        {"process": 2, "type": "ok", "f": A, "time": 6},
    ]
    made = parse([msgspec.json.encode(line) + b"\n" for line in lines])
    assert check(made).verdict == "valid"
    early = parse([msgspec.json.encode(line) + b"\n" for line in (*lines[:5], *lines[6:])])
    assert check(early).verdict == "invalid"


def random_steps(chance: random.Random, *, wrong: bool) -> list[Step]:
    """What a re-entrant lock does with processes that come in turn; a wrong one lets somebody in or out."""
    holder, depth, steps = 0, 0, []
    for _ in range(chance.randint(3, 9)):
        process = chance.choice((1, 2))
        odd = wrong and chance.random() < 0.15
        outcome = "info" if chance.random() < 0.08 else "ok"
        if holder in (0, process) or odd:
            if holder == process and depth and chance.random() < 0.55:
                steps.append((process, R, outcome))
                if outcome == "ok" or chance.random() < 0.5:
                    depth -= 1
                    holder = holder if depth else 0
            else:
                steps.append((process, A, outcome))
                if not odd and (outcome == "ok" or chance.random() < 0.5):
                    holder, depth = process, depth + 1
    return steps


def test_the_quick_check_says_what_the_search_says() -> None:
    seen = {"valid": 0, "invalid": 0, "unfit": 0}
    for seed in range(3000):
        steps = random_steps(random.Random(seed), wrong=bool(seed % 2))
        made = history(steps)
        found = check_lock(made)
        words = {search(some, *REENTRANT).verdict for some in calls(made, "lock").values()}
        searched = "invalid" if "invalid" in words else "valid"
        if found.anomalies:
            assert searched == "invalid", (seed, steps)
            seen["invalid"] += 1
        elif found.unfit or touching(made):
            seen["unfit"] += 1
        else:
            assert searched == "valid", (seed, steps)
            seen["valid"] += 1
    assert seen["valid"] > 600
    assert seen["invalid"] > 300
    assert seen["unfit"] < 1200
