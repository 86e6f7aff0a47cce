"""3. A process is the unit of resource allocation; what starting one costs, and who comes first."""

import os
import resource
import statistics
import threading
import time
from pathlib import Path

import msgspec

from ipclab.claims import Bench, Row, Share, Source, Text, Verdict, claim, holds, refuted
from ipclab.host.start_methods import StartMethod
from ipclab.program import main_of_claim

Before = tuple[str, str, tuple[int, int]]

STARTS = 40
GLOBAL = "as it was"


class Seen(msgspec.Struct, frozen=True):
    """What the starter sees of changes that were made by another process, or by a thread."""

    variable: bool
    working_directory: bool
    environment: bool
    open_file: bool
    file_limit: bool


class Start(msgspec.Struct, frozen=True):
    """How a child comes to be by one start method."""

    to_first_line_ms: float  # median, from start() to the first line of the child's function
    own_pid: bool  # its pid is none that was there before
    parent_is_starter: bool


class Evidence(msgspec.Struct, frozen=True):
    by_process: Seen
    by_thread: Seen
    child_first: Share  # starts after which the child's first line came before the parent's next one
    starts: dict[str, Start]


def change_all(folder: Path) -> int:
    """Change one of each resource; the number of a file that is left open."""
    global GLOBAL
    GLOBAL = "changed"
    os.chdir(folder)
    os.environ["IPCLAB_CLAIM"] = "changed"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    return os.open("opened", os.O_CREAT | os.O_WRONLY)


def seen_from_here(before: Before, number: int) -> Seen:
    opened = f"/dev/fd/{number}"
    return Seen(
        variable=before[0] != GLOBAL,
        working_directory=os.getcwd() != before[1],
        environment="IPCLAB_CLAIM" in os.environ,
        open_file=os.path.exists(opened) and os.path.basename(os.path.realpath(opened)) == "opened",
        file_limit=resource.getrlimit(resource.RLIMIT_NOFILE) != before[2],
    )


def now() -> Before:
    return GLOBAL, os.getcwd(), resource.getrlimit(resource.RLIMIT_NOFILE)


def changed_by_process(bench: Bench) -> Seen:
    before = now()
    number = bench.start(change_all, bench.folder, name="changes all").result()
    return seen_from_here(before, number)


def change_in_thread(folder: Path) -> Seen:
    """Make the change in a process of its own, because it affects every thread of the process."""
    before, numbers = now(), []
    thread = threading.Thread(target=lambda: numbers.append(change_all(folder)))
    thread.start()
    thread.join()
    return seen_from_here(before, numbers[0])


def first_line() -> tuple[int, int, int]:
    return time.monotonic_ns(), os.getpid(), os.getppid()


def who_is_first(bench: Bench) -> Share:
    first = 0
    for _ in range(STARTS):
        child = bench.start(first_line)
        parent_ns = time.monotonic_ns()
        child_ns, _, _ = child.result()
        first += child_ns < parent_ns
    return Share(first, STARTS)


def started_by(bench: Bench, method: StartMethod, times: int) -> Start:
    taken_ms, own, starter = [], [], []
    for _ in range(times):
        began_ns = time.monotonic_ns()
        entered_ns, pid, parent = bench.start(first_line, method=method).result()
        taken_ms.append((entered_ns - began_ns) / 1e6)
        own.append(pid != os.getpid())
        starter.append(parent == os.getpid())
    found = Start(statistics.median(taken_ms), all(own), all(starter))
    bench.timeline(f"{method}: {found.to_first_line_ms:.1f} ms to the child's first line")
    return found


def experiment(bench: Bench) -> Evidence:
    evidence = Evidence(
        by_process=changed_by_process(bench),
        by_thread=bench.start(change_in_thread, bench.folder).result(),
        child_first=who_is_first(bench),
        # The first start by forkserver starts the server too; the median of five leaves that out.
        starts={method: started_by(bench, method, 5) for method in ("fork", "forkserver", "spawn")},
    )
    bench.timeline(f"the child was first in {evidence.child_first.k} of {STARTS}")
    return evidence


def verdict(seen: Evidence) -> Verdict:
    processes = msgspec.structs.asdict(seen.by_process)
    threads = msgspec.structs.asdict(seen.by_thread)
    if leaked := [name for name, visible in processes.items() if visible]:
        return refuted(
            f"another process changed the {leaked[0]} of its starter", f"另一个进程改变了启动者的 {leaked[0]}"
        )
    if own := [name for name, visible in threads.items() if not visible]:
        return refuted(f"a thread has a {own[0]} of its own too", f"线程也拥有自己的 {own[0]}")
    return holds(
        "memory, the table of open files, working directory, environment and limits belong to the process: "
        "every thread shares them, and what another process changes in its own is not seen",
        "内存、打开文件表、工作目录、环境变量和资源限制都属于进程：所有线程共享，其他进程各有一份，其修改不可见",
    )


def show(seen: Evidence) -> list[Row]:
    words = {
        "variable": Text("a global variable", "全局变量"),
        "working_directory": Text("the working directory", "工作目录"),
        "environment": Text("the environment", "环境变量"),
        "open_file": Text("a newly opened file", "新打开的文件"),
        "file_limit": Text("the limit of open files", "打开文件数上限"),
    }
    whose = {True: Text("changed", "被改变"), False: Text("unchanged", "不变")}
    rows = [
        Row(
            Text(
                f"{what.en}, after a child process / a thread changed it", f"{what.zh}，子进程 / 线程修改之后"
            ),
            Text(
                f"{whose[getattr(seen.by_process, name)].en} / {whose[getattr(seen.by_thread, name)].en}",
                f"{whose[getattr(seen.by_process, name)].zh} / {whose[getattr(seen.by_thread, name)].zh}",
            ),
            key=name in ("variable", "open_file"),
        )
        for name, what in words.items()
    ]
    rows.append(
        Row(
            Text("the child's first line came before the parent's next one", "子进程首行先于父进程的下一行"),
            seen.child_first.text(),
        )
    )
    for method, start in seen.starts.items():
        parent = (
            ("the starter", "启动者") if start.parent_is_starter else ("the fork server", "fork 服务进程")
        )
        rows.append(
            Row(
                Text(f"{method}: to the child's first line; its parent", f"{method}：到子进程首行；其父进程"),
                Text(
                    f"{start.to_first_line_ms:.1f} ms; {parent[0]}",
                    f"{start.to_first_line_ms:.1f} ms；{parent[1]}",
                ),
                key=True,
            )
        )
    return rows


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=3,
    section="processes",
    statement=Text("A process is the unit of resource allocation.", "进程是资源分配的基本单位。"),
    practice=Text(
        "Give a worker process its settings as arguments and take its results by a queue or a pipe: nothing "
        "that it changes comes back, but for the offset of a file opened before a fork (claim 23). Who runs "
        "first after start() is chance; order needs join() or an event. Start processes once and reuse them "
        "where you spawn.",
        "把设置作为参数传给工作进程，用队列或管道取回结果：它所做的修改不会传回来，"
        "只有 fork 之前打开的文件的偏移量例外（见说法 23）。"
        "start() 之后谁先运行是偶然的，要保证次序须用 join() 或事件。使用 spawn 时应启动一次、反复使用。",
    ),
    sources=(
        Source(
            "multiprocessing: contexts and start methods",
            "https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods",
        ),
        Source(
            "pthreads(7): what all threads of a process share",
            "https://man7.org/linux/man-pages/man7/pthreads.7.html",
        ),
        Source("fork and what happens in the child first", "Lib/multiprocessing/popen_fork.py"),
    ),
    recorded="holds",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
