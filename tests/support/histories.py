"""Small histories by chance: a right object run by several processes, some of them with an error put in."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ipclab.history.columns import CODE_OF, FOREVER, Columns, History
from ipclab.history.format import CODES, VERSION, Header, Model

Row = tuple[int, str, Any, int, int, str]
"""Process, function, value, start, end, outcome."""


def history_of(rows: list[Row], model: Model) -> History:
    """Return the history of these rows, without the checks that make reading a file strict, for speed."""
    columns = Columns()
    for process, f, value, start, end, outcome in rows:
        ends = FOREVER if outcome == "open" else end
        columns.add(process, CODES[f], None, value, start, ends, CODE_OF[outcome])
    return columns.history(Header(ipclab_history=VERSION, model=model), [])


def schedule(chance: random.Random, operations: int, processes: int) -> list[tuple[int, int, int, int]]:
    """Yield who does something from when to when, and the moment in between at which it takes effect, in the
    order of these moments. Nobody does two things at once. All times differ, unless the clock is coarse."""
    tick = processes * chance.choice((1, 1, 1, 4))
    marks = [3 * p for p in range(processes)]
    chosen = []
    for _ in range(operations):
        who = chance.randrange(processes)
        times = sorted(marks[who] + 1 + chance.randrange(9) for _ in range(3))
        start, point, end = times[0], times[1] + 1, times[2] + 2
        marks[who] = end
        chosen.append((who, start * processes + who, end * processes + who, point * processes + who))
    in_order = sorted(chosen, key=lambda op: (op[3], op[0]))
    return [(who, start // tick, end // tick, point // tick) for who, start, end, point in in_order]


def maimed(chance: random.Random, rows: list[Row], *, lies: bool = True) -> list[Row]:
    """Return the rows with some outcomes lost: unknown, or open for the last one of its process. Some fail:
    with ``lies`` also some that had taken effect, so that the history may be invalid."""
    found: list[Row] = []
    last = {row[0]: row[3] for row in sorted(rows, key=lambda row: row[3])}
    often = chance.choice((0.0, 0.08, 0.25))
    for process, f, value, start, end, outcome in sorted(rows, key=lambda row: row[3]):
        luck = chance.random()
        if luck < often:
            outcome = chance.choice(("info", "open")) if last[process] == start else "info"
        elif luck < often + 0.04 and (lies or f == "read"):
            outcome = "fail"
        answers = f in ("read", "dequeue", "receive", "acquire")
        found.append((process, f, value if outcome == "ok" or not answers else None, start, end, outcome))
    return found


def disturbed(chance: random.Random, rows: list[Row], errors: float, value: Callable[[], Any]) -> list[Row]:
    """Return the rows, with the probability ``errors`` with one answer or interval changed, or left out."""
    if not rows or chance.random() >= errors:
        return rows
    i = chance.randrange(len(rows))
    process, f, old, start, end, outcome = rows[i]
    kind = chance.randrange(4)
    if kind == 0:
        return rows[:i] + rows[i + 1 :]
    if kind == 1 and f in ("read", "dequeue", "acquire"):
        return [*rows[:i], (process, f, value(), start, end, outcome), *rows[i + 1 :]]
    j = chance.randrange(len(rows))
    other = rows[j]
    if kind == 2 and other[1] == f:
        swapped = list(rows)
        swapped[i] = (process, f, other[2], start, end, outcome)
        swapped[j] = (*other[:2], old, *other[3:])
        return swapped
    return rows


def register(chance: random.Random, errors: float = 0.5) -> History:
    """Return writes of distinct values, and reads."""
    state: int | None = None
    rows: list[Row] = []
    for n, (who, start, end, _) in enumerate(
        schedule(chance, chance.randrange(2, 10), chance.randrange(1, 5)), 1
    ):
        if chance.random() < 0.5:
            state = n
            rows.append((who, "write", n, start, end, "ok"))
        else:
            rows.append((who, "read", state, start, end, "ok"))
    count = len(rows)
    rows = disturbed(chance, rows, errors, lambda: chance.choice([None, *range(1, count + 2)]))
    return history_of(maimed(chance, rows, lies=errors > 0), "register")


def queue(chance: random.Random, errors: float = 0.5) -> History:
    """Return enqueues of distinct values, and dequeues with values and empty answers."""
    inside: list[int] = []
    rows: list[Row] = []
    bias = chance.choice([0.4, 0.5, 0.6])
    for n, (who, start, end, _) in enumerate(
        schedule(chance, chance.randrange(2, 11), chance.randrange(1, 5)), 1
    ):
        if chance.random() < bias:
            inside.append(n)
            rows.append((who, "enqueue", n, start, end, "ok"))
        else:
            rows.append((who, "dequeue", inside.pop(0) if inside else None, start, end, "ok"))
    count = len(rows)
    rows = disturbed(chance, rows, errors, lambda: chance.choice([None, *range(1, count + 2)]))
    return history_of(maimed(chance, rows, lies=errors > 0), "queue")


def counter(chance: random.Random, errors: float = 0.5) -> History:
    """Return adds, some of them negative in one history of three, and reads."""
    total = 0
    amounts = chance.choice([(1,), (1, 2, 5), (1, 3, -2)])
    rows: list[Row] = []
    for who, start, end, _ in schedule(chance, chance.randrange(2, 10), chance.randrange(1, 5)):
        if chance.random() < 0.5:
            amount = chance.choice(amounts)
            total += amount
            rows.append((who, "add", amount, start, end, "ok"))
        else:
            rows.append((who, "read", total, start, end, "ok"))
    rows = disturbed(chance, rows, errors, lambda: chance.randrange(-2, 12))
    return history_of(maimed(chance, rows, lies=errors > 0), "counter")


def lock(chance: random.Random, errors: float = 0.5) -> History:
    """Return holds with rising tokens, and sometimes one that comes too early."""
    holder: int | None = None
    token = 0
    rows: list[Row] = []
    for who, start, end, _ in schedule(chance, chance.randrange(2, 12), chance.randrange(1, 5)):
        if holder == who:
            rows.append((who, "release", None, start, end, "ok"))
            holder = None
        elif holder is None or chance.random() < 0.08 * (errors > 0):
            token += 1
            holder = who
            given = None if chance.random() < 0.3 else token
            rows.append((who, "acquire", given, start, end, "ok"))
    rows = disturbed(chance, rows, errors, lambda: chance.randrange(1, 6))
    return history_of(maimed(chance, rows, lies=errors > 0), "lock")
