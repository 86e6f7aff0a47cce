"""A fault of start by spawn: an argument that nobody else holds is gone before the process has it."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.host.start_methods import context
from ipclab.trial.client.bench import OTHER, Bench
from ipclab.trial.client.moments import errors_to
from ipclab.trial.client.scenario import Seen, pair

_SPAWN = context("spawn")


class Late:
    """An argument before others, which are unpickled only when something is in the pipe.

    A process that starts slowly also unpickles its arguments late; this class makes that certain.
    """

    def __init__(self, gate: Connection) -> None:
        self._gate = gate

    def __reduce__(self) -> tuple[Callable[[Connection], None], tuple[Connection]]:
        return _await, (self._gate,)


def _await(gate: Connection) -> None:
    gate.poll(None)


def _take(_late: None, log: Path, lock: Any) -> None:
    with ProcessLog(log, OTHER) as history:
        history.invoke("acquire")
        with lock:
            history.ok()
            history.invoke("release")
        history.ok()


def _spawn(parent: Connection, log: Path, errors: Path, right: bool) -> tuple[int | None, str]:
    """Start a process with a lock as its argument; return its exit code, and its last line on stderr."""
    errors_to(errors)
    gate, opener = _SPAWN.Pipe(duplex=False)
    kept = [_SPAWN.Lock()]
    process = _SPAWN.Process(target=_take, args=(Late(gate), log, kept[0] if right else kept.pop()))
    process.start()
    opener.send_bytes(b"go")
    process.join()
    lines = errors.read_text().splitlines()
    return process.exitcode, next((line for line in reversed(lines) if "Error" in line), "")


def _argument(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _spawn, bench.log(OTHER), bench.folder / "stderr", right, forks=True)
    code, error = program.result()
    came = f"ended with {code}: {error}" if code else "took the lock"
    return Seen(finding=f"a process was spawned with a lock as its argument; it {came}", errs=bool(code))


SCENARIOS = pair(
    "spawned-argument",
    _argument,
    backend="value",
    library="",
    model="lock",
    asked="a lock as an argument of a spawned process, which its starter does not keep",
    says="nothing; a traceback of the other process is on stderr",
    has="no semaphore any more: start() lets go of the arguments, before the process has them",
    default="Process(target, args=(Lock(),)).start()",
    right="lock = Lock(); Process(target, args=(lock,)).start(); lock is kept until the process has ended",
)
