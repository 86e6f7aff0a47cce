"""11. A Queue handles any data type: it carries what can be pickled, drops the rest, and pickles late."""

import decimal
import threading
from collections.abc import Iterator
from typing import Any

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Timeline, Verdict, claim, holds, joined, refuted
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim


class Point:
    """A class that the receiver can import."""


class Held:
    """Keeps the queue's thread busy until its gate is open."""

    gate = threading.Event()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        self.gate.wait()
        return str, ("held",)


def samples(context: Context) -> Iterator[tuple[str, object]]:
    yield "int", 2**100
    yield "nested dict", {"a": [1, (2, {3})]}
    yield "bytes, 5 MB", bytes(5_000_000)
    yield "Decimal", decimal.Decimal("0.1")
    yield "exception", ValueError("x")
    yield "own class", Point()
    yield "class itself", Point
    yield "lambda", lambda: None
    yield "generator", (n for n in range(3))
    yield "open file", open(__file__)  # noqa: SIM115
    yield "module", threading
    yield "thread lock", threading.Lock()
    yield "process lock", context.Lock()


class Evidence(msgspec.Struct, frozen=True):
    arrived: list[str]
    lost: dict[str, str]  # and the error, which only the queue's thread saw
    refused: list[str]  # by put(), so that the sender knew
    sent: list[int]  # a list as it was put
    received: list[int]  # as it arrived, after the sender had gone on to change it


def try_all(context: Context, timeline: Timeline) -> tuple[list[str], dict[str, str], list[str]]:
    queue: Any = context.Queue()
    errors: list[str] = []
    queue._on_queue_feeder_error = lambda error, item: errors.append(str(error))  # else it is printed
    arrived, lost, refused = [], {}, []
    for name, item in samples(context):
        try:
            queue.put(item)
        except Exception:  # noqa: BLE001 - whatever it is, the sender knows
            refused.append(name)
            continue
        queue.put("next")
        if queue.get() == "next":
            lost[name] = errors.pop()
            timeline(f"{name}: put() returned, and it never arrives")
        else:
            arrived.append(name)
            queue.get()
    return arrived, lost, refused


def change_after_put(context: Context, timeline: Timeline) -> list[int]:
    queue, sent = context.Queue(), [1, 2]
    queue.put(Held())
    queue.put(sent)
    timeline(f"put {sent}")
    sent.append(3)
    Held.gate.set()
    queue.get()
    received: list[int] = queue.get()
    timeline(f"got {received}")
    return received


def experiment(bench: Bench) -> Evidence:
    tried = bench.start(try_all, bench.context, bench.timeline, name="sender").result()
    received = bench.start(change_after_put, bench.context, bench.timeline, name="sender").result()
    return Evidence(*tried, sent=[1, 2], received=received)  # type: ignore[misc]


def verdict(seen: Evidence) -> Verdict:
    rest, parts = [], []
    if seen.lost:
        rest.append(Text("dropped behind the back of put()", "在 put() 返回后被悄悄丢弃"))
    if seen.refused:
        rest.append(Text("refused by put()", "被 put() 拒绝"))
    if rest:
        takes = Text("", "") if seen.refused else Text("takes anything and ", "什么都接收，但")
        fate = joined(rest, " or ", "或")
        parts.append(
            Text(
                f"it {takes.en}delivers only what pickle can carry; the rest is {fate.en}",
                f"它{takes.zh}只送达可以 pickle 的对象；其余的{fate.zh}",
            )
        )
    if seen.sent != seen.received:
        parts.append(
            Text(
                "what is changed after put() may arrive changed",
                "put() 之后再修改的对象可能以修改后的内容到达",
            )
        )
    if parts:
        why = joined(parts, zh="，")
        return refuted(why.en, why.zh)
    return holds(
        "all of it arrived, and what was changed after put() came as it was put",
        "全部到达，put() 之后再修改的对象也按放入时的内容到达",
    )


def show(seen: Evidence) -> list[Row]:
    return [
        Row(Text("arrived", "到达"), ", ".join(seen.arrived)),
        Row(Text("taken by put(), then dropped", "put() 接收后丢弃"), ", ".join(seen.lost) or "–", key=True),
        Row(Text("refused by put()", "被 put() 拒绝"), ", ".join(seen.refused) or "–"),
        Row(
            Text("put, then changed by the sender: arrives as", "放入后被发送方修改：到达时为"),
            f"{seen.sent} → {seen.received}",
            key=True,
        ),
        *(
            Row(Text(f"error in the queue's thread, {name}", f"后台线程中的错误（{name}）"), error)
            for name, error in seen.lost.items()
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=11,
    section="sharing",
    statement=Text("A Queue handles any data type.", "Queue 可以处理任意数据类型。"),
    practice=Text(
        "Send plain data; where in doubt, `pickle.dumps` it yourself and put the bytes: an error then shows "
        "at once, and later changes cannot travel along.",
        "只发送普通数据；没把握时自己先 `pickle.dumps`，再放入字节串：错误立即可见，之后的修改也不会混入。",
    ),
    sources=(
        Source(
            "pickle: what can be pickled",
            "https://docs.python.org/3/library/pickle.html#what-can-be-pickled-and-unpickled",
        ),
        Source("CPython: Queue._feed, _on_queue_feeder_error", "Lib/multiprocessing/queues.py"),
    ),
    recorded="refuted",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
