"""13. A pipe has two ends, and all unused ends must be closed for recv to raise EOFError."""

import itertools
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from ipclab.claims import Bench, Fate, Row, Source, Text, Verdict, claim, holds, holds_when, refuted
from ipclab.host.start_methods import StartMethod
from ipclab.program import main_of_claim

Ends = Sequence[tuple[Connection, Connection]]
Closed = Sequence[tuple[str, ...]]

UNUSED = {  # one process writes, another one reads; the main process starts both and does neither
    "writing end in main": "主进程的写端",
    "writing end in reader": "读进程的写端",
    "reading end in main": "主进程的读端",
    "reading end in writer": "写进程的读端",
}
METHODS: tuple[StartMethod, ...] = ("fork", "spawn")


class Cell(msgspec.Struct, frozen=True):
    method: str
    closed: list[str]  # which unused ends were closed
    eof: bool  # whether recv raised EOFError once the writer had ended


class Evidence(msgspec.Struct, frozen=True):
    cells: list[Cell]
    passed_one: dict[str, bool]  # by method: the same where each process got only the end that it uses
    bystander: dict[str, bool]  # where both were closed, and a third process was started that got no end
    unclosed: Fate  # of a reader where no unused end was closed


def write(ends: Ends, closed: Closed) -> None:
    for (reading, writing), names in zip(ends, closed, strict=True):
        if "reading end in writer" in names:
            reading.close()
        writing.send("the last message")


def read(ends: Ends, closed: Closed, writer_ended: Connection) -> list[bool]:
    for (reading, writing), names in zip(ends, closed, strict=True):
        if "writing end in reader" in names:
            writing.close()
        reading.recv()
    writer_ended.recv()
    return [at_end(reading) for reading, _ in ends]


def at_end(reading: Connection) -> bool:
    if not reading.poll():
        return False  # nobody will write any more, so recv() would wait for ever
    try:
        reading.recv()
    except EOFError:
        return True
    return False


def all_cells(bench: Bench, method: StartMethod) -> list[Cell]:
    """Return every combination of closed ends: a pipe for each, all between the same two processes."""
    closed = [names for n in range(5) for names in itertools.combinations(UNUSED, n)]
    ends = [bench.context.Pipe(duplex=False) for _ in closed]
    waiting, ended = bench.context.Pipe(duplex=False)
    writer = bench.start(write, ends, closed, name=f"{method} writer", method=method)
    reader = bench.start(read, ends, closed, waiting, name=f"{method} reader", method=method)
    for (reading, writing), names in zip(ends, closed, strict=True):
        if "reading end in main" in names:
            reading.close()
        if "writing end in main" in names:
            writing.close()
    writer.join()
    ended.send("writer has ended")
    bench.timeline(f"{method}: {sum(reader.result())} of {len(closed)} recv() raised EOFError")
    return [Cell(method, list(names), eof) for names, eof in zip(closed, reader.result(), strict=True)]


def write_one(writing: Connection) -> None:
    writing.send("the last message")


def read_one(reading: Connection, writer_ended: Connection) -> bool:
    reading.recv()
    writer_ended.recv()
    return at_end(reading)


def stand_by(started: Connection, let_go: Connection) -> None:
    started.send("started")
    let_go.recv()


def one_end_each(bench: Bench, method: StartMethod) -> bool:
    reading, writing = bench.context.Pipe(duplex=False)
    waiting, ended = bench.context.Pipe(duplex=False)
    writer = bench.start(write_one, writing, method=method)
    reader = bench.start(read_one, reading, waiting, method=method)
    writing.close()
    writer.join()
    ended.send("writer has ended")
    return bool(reader.result())


def beside_another(bench: Bench, method: StartMethod) -> bool:
    """Return what the reader gets after it and the main process close all writing ends beside a third."""
    ends, (waiting, ended) = [bench.context.Pipe(duplex=False)], bench.context.Pipe(duplex=False)
    (told, started), (let_go, _opener) = bench.context.Pipe(), bench.context.Pipe()
    _third = bench.start(stand_by, started, let_go, name="bystander", method=method)
    bench.until(told.poll, "the bystander")
    writer = bench.start(write, ends, [()], method=method)
    reader = bench.start(read, ends, [("writing end in reader",)], waiting, method=method)
    ends[0][1].close()
    writer.join()
    ended.send("writer has ended")
    return bool(reader.result()[0])


def drain(reading: Connection, writing: Connection) -> None:
    while True:
        reading.recv()


def experiment(bench: Bench) -> Evidence:
    reading, writing = bench.context.Pipe(duplex=False)
    writing.send("the last message")
    stuck = bench.start(drain, reading, writing, name="reader")
    writing.close()
    cells = [cell for method in METHODS for cell in all_cells(bench, method)]
    own, beside = ({str(m): ends(bench, m) for m in METHODS} for ends in (one_end_each, beside_another))
    return Evidence(cells, own, beside, stuck.watch())


def needed(seen: Evidence) -> list[str]:
    """Return the ends without whose closing recv never raised."""
    raised = [cell.closed for cell in seen.cells if cell.eof]
    return [end for end in UNUSED if all(end in closed for closed in raised)]


def verdict(seen: Evidence) -> Verdict:
    if not all(cell.eof for cell in seen.cells if len(cell.closed) == len(UNUSED)):
        return refuted("recv does not raise even where all are closed", "即使全部关闭，recv 也不抛出异常")
    if len(needed(seen)) == len(UNUSED):
        return holds("recv raised only where all were closed", "只有全部关闭时 recv 才抛出异常")
    if not needed(seen):
        return refuted("recv raises without it", "不关闭也会抛出异常")
    kept = [method for method, eof in seen.bystander.items() if not eof]
    but = Text("", "")
    if kept:
        but = Text(
            f"; and any process that is started meanwhile by {', '.join(kept)} has the writing end, too",
            f"；此间以 {'、'.join(kept)} 启动的任何进程也持有写端",
        )
    return holds_when(
        f"only ends that can write are meant; recv raised once these were closed: {', '.join(needed(seen))}"
        f"{but.en}",
        f"只指能写入的端；关闭以下各端后 recv 就抛出异常：{'、'.join(UNUSED[end] for end in needed(seen))}"
        f"{but.zh}",
    )


def show(seen: Evidence) -> list[Row]:
    in_main, in_reader, *reading_ends = UNUSED

    def raised(method: str, *writing_ends: Any) -> str:
        """Return in how many of the cells exactly these writing ends were closed, and some reading ends."""
        cells = [cell for cell in seen.cells if cell.method == method]
        of_these = [cell.eof for cell in cells if {*cell.closed} - {*reading_ends} == {*writing_ends}]
        return f"{sum(of_these)} / {len(of_these)}"

    return [
        *(
            Row(
                Text(
                    f"{method}: EOFError, writing end closed in neither, main, reader, both",
                    f"{method}：抛出 EOFError（写端：都不关、主进程关、读进程关、都关）",
                ),
                ", ".join(
                    raised(method, *ends) for ends in ((), (in_main,), (in_reader,), (in_main, in_reader))
                ),
                key=True,
            )
            for method in METHODS
        ),
        Row(
            Text("each process got only the end that it uses: EOFError", "只传入各自使用的一端：EOFError"),
            ", ".join(f"{method} {'yes' if eof else 'no'}" for method, eof in seen.passed_one.items()),
            key=True,
        ),
        Row(
            Text(
                "both writing ends closed, but a process was started meanwhile that got no end: EOFError",
                "两个写端都已关闭，但此间启动了另一个没有得到任何一端的进程：EOFError",
            ),
            ", ".join(f"{method} {'yes' if eof else 'no'}" for method, eof in seen.bystander.items()),
            key=True,
        ),
        Row(
            Text("reader with an open writing end", "写端未关的读进程"),
            seen.unclosed.text(Text("returned", "已返回")),
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=13,
    section="sharing",
    statement=Text(
        "A pipe has two ends, and all unused ends must be closed for `recv` to raise.",
        "管道有两端，所有未用的端都关闭后 `recv` 才会抛出异常。",
    ),
    practice=Text(
        "Close every writing end that a process does not use: first thing in the child, and in the parent "
        "right after start(). A forked child has the ends that it was not given, too, even one that has "
        "nothing to do with the pipe; a spawned one has not. Or send a message that says that it is the "
        "last one.",
        "关闭进程不用的每个写端：子进程一开始就关，父进程在 start() 之后立即关。"
        "fork 的子进程连没有传给它的端也会继承（哪怕与管道无关），spawn 不会。或者发送一条表示结束的消息。",
    ),
    sources=(
        Source(
            "multiprocessing: Connection.recv raises EOFError",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.connection.Connection.recv",
        ),
        Source("CPython: which handles a child gets", "Lib/multiprocessing/popen_spawn_posix.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
