"""25. The data of processes is isolated, the data of threads is shared."""

import multiprocessing
import threading
from multiprocessing import shared_memory
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Timeline, Verdict, claim, holds, holds_when, refuted
from ipclab.program import main_of_claim

KINDS = ("thread", "fork", "spawn", "forkserver")
ASK_DEFAULT = "import multiprocessing; print(multiprocessing.get_start_method())"
NUMBER, LIST = 0, [0]
LOCAL = threading.local()


class Box:
    content = 0


class Seen(msgspec.Struct, frozen=True):
    """Of a thread, or of a process that was started by this method."""

    changes: dict[str, bool]  # by kind of data: whether the starter sees what the other one changed
    number_at_start: int  # what the other one finds, after the starter has changed it from 0 to 1
    later_change: bool  # whether the other one sees what the starter changes after the start


class Evidence(msgspec.Struct, frozen=True):
    thread: Seen
    fork: Seen
    spawn: Seen
    forkserver: Seen
    default: str  # the start method of this Python where none is chosen


PLAIN = ("global number", "global list", "list argument", "class attribute")
OWN = "threading.local"
SHARED = ("Value", "shared memory", "Manager list", "file")
CHINESE = {
    "global number": "全局整数",
    "global list": "全局列表",
    "list argument": "作为参数的列表",
    "class attribute": "类属性",
    "shared memory": "共享内存",
    "Manager list": "Manager 的列表",
    "file": "文件",
}


def change_all(argument: list[int], value: Any, memory: Any, managed: Any, path: Path) -> None:
    global NUMBER
    NUMBER = LIST[0] = argument[0] = Box.content = LOCAL.content = 7
    value.value = memory.buf[0] = managed[0] = 7
    path.write_text("7")


def changed(argument: list[int], value: Any, memory: Any, managed: Any, path: Path) -> dict[str, bool]:
    found = (NUMBER, LIST[0], argument[0], Box.content, getattr(LOCAL, "content", 0))
    found += (value.value, memory.buf[0], managed[0], int(path.read_text()))  # type: ignore[assignment]
    return {name: content == 7 for name, content in zip((*PLAIN, OWN, *SHARED), found, strict=True)}


def other(data: Any, report: Connection, has_changed: Event) -> None:
    report.send(NUMBER)
    has_changed.wait()
    report.send(LIST[0] == 1)
    change_all(*data)


def start_other(kind: str, path: Path, timeline: Timeline) -> Seen:
    """Start the other from this process, a new one each time, with all data as it was imported."""
    global NUMBER
    context: Any = multiprocessing.get_context("fork" if kind == "thread" else kind)
    memory, (here, there) = shared_memory.SharedMemory(create=True, size=1), context.Pipe()
    path.write_text("0")
    with context.Manager() as manager:
        data = ([0], context.Value("i", 0), memory, manager.list([0]), path)
        has_changed = context.Event()
        NUMBER = 1
        make = threading.Thread if kind == "thread" else context.Process
        started = make(target=other, args=(data, there, has_changed))
        started.start()
        number_at_start = here.recv()
        LIST[0] = 1
        has_changed.set()
        later_change = here.recv()
        started.join()
        seen = Seen(changed(*data), number_at_start, later_change)
    memory.close()
    memory.unlink()
    timeline(f"{kind}: the starter sees {', '.join(name for name, yes in seen.changes.items() if yes)}")
    return seen


def experiment(bench: Bench) -> Evidence:
    path = bench.folder / "file"
    return Evidence(
        **{kind: bench.start(start_other, kind, path, bench.timeline, name=kind).result() for kind in KINDS},
        default=bench.interpreter(ASK_DEFAULT).stdout.strip(),
    )


def verdict(seen: Evidence) -> Verdict:
    for process in (seen.fork, seen.spawn, seen.forkserver):
        if any(process.changes[name] for name in PLAIN) or process.later_change:
            return refuted(
                "a process saw plain data that another one had changed", "进程看到了另一个进程修改的普通数据"
            )
    if not (all(seen.thread.changes[name] for name in PLAIN) and seen.thread.later_change):
        return refuted("a thread's change of plain data was not seen", "线程对普通数据的修改不可见")
    crossing = [name for name in SHARED if seen.fork.changes[name] or seen.spawn.changes[name]]
    if crossing or not seen.thread.changes[OWN]:
        return holds_when(
            f"nothing was made to be otherwise: {', '.join(crossing)} cross from process to process, and a "
            "threading.local does not cross from thread to thread",
            f"数据没有经过特意的共享或隔离。{'、'.join(CHINESE.get(name, name) for name in crossing)}"
            "可以跨进程，threading.local 则不跨线程",
        )
    return holds("for all kinds of data", "对各种数据都成立")


def show(seen: Evidence) -> list[Row]:
    each = [getattr(seen, kind) for kind in KINDS]

    def marks(values: list[bool]) -> Text:
        return Text(
            " / ".join("seen" if value else "not" for value in values),
            " / ".join("可见" if value else "不可见" for value in values),
        )

    rows = [
        Row(
            Text(
                f"starter sees {name} changed by thread / fork / spawn / forkserver",
                f"{CHINESE.get(name, name)}：线程 / fork / spawn / forkserver 修改后，启动者",
            ),
            marks([one.changes[name] for one in each]),
            key=name in ("global list", "Value", OWN),
        )
        for name in (*PLAIN, OWN, *SHARED)
    ]
    return [
        *rows,
        Row(
            Text(
                "a global that was imported as 0 and set to 1 before the start, as thread / fork / spawn / "
                "forkserver finds it",
                "导入时为 0、启动前改为 1 的全局变量，线程 / fork / spawn / forkserver 读到",
            ),
            " / ".join(str(one.number_at_start) for one in each),
            key=True,
        ),
        Row(
            Text(
                "thread / fork / spawn / forkserver sees what the starter changes later",
                "启动之后启动者所做的修改，线程 / fork / spawn / forkserver",
            ),
            marks([one.later_change for one in each]),
        ),
        Row(
            Text(
                "how this Python starts a process where no method is chosen",
                "未指定时，此版本 Python 的启动方式",
            ),
            seen.default,
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=25,
    section="threads",
    statement=Text(
        "The data of processes is isolated, the data of threads is shared.",
        "进程之间数据隔离，线程之间数据共享。",
    ),
    practice=Text(
        "Pass a process everything that it needs as arguments and never rely on globals: a forked child has "
        "them as they were at the start, one of spawn or forkserver (the default from Python 3.14 on) as "
        "they were imported. Share on purpose (Value, "
        "shared memory, a queue), and give threads a threading.local for what must not be shared. Keep what "
        "you pass to a spawned process until it has ended: it is collected with the last reference.",
        "进程所需的一切都作为参数传入，不要依赖全局变量：fork 出的子进程得到启动时的值，spawn "
        "和 forkserver（Python 3.14 起的默认方式）得到导入时的值。"
        "需要共享时明确地共享（Value、共享内存、队列）；线程中不该共享的数据放进 "
        "threading.local。传给 spawn 进程的对象要保留到它结束：最后一个引用消失时对象即被回收。",
    ),
    sources=(
        Source(
            "multiprocessing: global variables; sharing state between processes",
            "https://docs.python.org/3/library/multiprocessing.html#sharing-state-between-processes",
        ),
        Source("threading.local", "https://docs.python.org/3/library/threading.html#thread-local-data"),
        Source("what a spawned child imports", "Lib/multiprocessing/spawn.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
