"""19. map gives no results back: it returns all of them, in the order of what they were made from."""

from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from typing import Any

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Verdict, claim, holds, refuted
from ipclab.claims.pools import finishing
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

NUMBERS = [1, 2, 3, 4]

# In the workers of a pool, from its initializer.
gates: Any
finished: Any


class Evidence(msgspec.Struct, frozen=True):
    numbers: list[int]
    finished: list[int]  # in the order in which the tasks were done: forced to be the reverse
    returned: list[int] | None
    unordered: list[int]  # what imap_unordered gives for the same
    error: str  # what map raises where one of several tasks fails


def equip(the_gates: list[Event], the_finished: SimpleQueue[int]) -> None:
    global gates, finished
    gates, finished = the_gates, the_finished


def square(number: int) -> int:
    """Return the square, but only when the task of the next number is done."""
    if number < len(NUMBERS):
        gates[number].wait()
    finished.put(number)
    gates[number - 1].set()
    return number * number


def reciprocal(number: int) -> int:
    return 1 // number


def use(context: Context, method: str) -> tuple[list[int], list[int] | None, str]:
    gates = [context.Event() for _ in NUMBERS]
    finished = context.SimpleQueue()
    with finishing(context.Pool(len(NUMBERS), equip, [gates, finished])) as pool:
        found = getattr(pool, method)(square, NUMBERS, chunksize=1)
        returned = None if found is None else list(found)
        order = [finished.get() for _ in NUMBERS]
        try:
            error = str(list(getattr(pool, method)(reciprocal, [1, 0, 1])))
        except ZeroDivisionError as raised:
            error = f"{type(raised).__name__}: {raised}"
    return order, returned, error


def experiment(bench: Bench) -> Evidence:
    finished, returned, error = bench.start(use, bench.context, "map").result()
    bench.timeline(f"tasks were done in the order {finished}; map returned {returned}")
    _, unordered, _ = bench.start(use, bench.context, "imap_unordered").result()
    bench.timeline(f"imap_unordered gave {unordered}")
    return Evidence(NUMBERS, finished, returned, unordered, error)


def verdict(seen: Evidence) -> Verdict:
    if not seen.returned:
        return holds("map returned nothing", "map 没有返回任何结果")
    order = seen.returned == [number * number for number in seen.numbers]
    return refuted(
        "map returned every result" + (", in the order of its arguments" if order else ""),
        "map 返回了全部结果" + ("，且按参数的顺序" if order else ""),
    )


def show(seen: Evidence) -> list[Row]:
    return [
        Row(Text("map of a square over", "用 map 求平方，参数"), str(seen.numbers)),
        Row(Text("tasks were done in the order", "任务完成的顺序"), str(seen.finished), key=True),
        Row(Text("map returned", "map 返回"), str(seen.returned), key=True),
        Row(Text("imap_unordered gave", "imap_unordered 给出"), str(seen.unordered)),
        Row(Text("where one of three tasks failed, map raised", "三个任务之一失败时 map 抛出"), seen.error),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=19,
    section="pools",
    statement=Text("map gives no results back.", "map 没有返回值。"),
    practice=Text(
        "Take the results from map. It waits for all and fails as a whole: use imap_unordered to see each as "
        "it comes, and catch errors in the task where the other results are wanted.",
        "直接使用 map 的返回值；它等待全部任务，一个失败则整体失败。想尽早拿到每个结果用 imap_unordered；"
        "若要保留其他结果，就在任务内部捕获异常。",
    ),
    sources=(
        Source(
            "multiprocessing: Pool.map",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool.map",
        ),
        Source("CPython: MapResult", "Lib/multiprocessing/pool.py"),
    ),
    recorded="refuted",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
