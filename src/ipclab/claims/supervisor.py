"""Runs the file of a claim: in a fresh interpreter, in a session of its own, for a limited time.

The experiment's process is a child of the one that asks for it. However either ends, every process of that
session is killed at the end, and then the claim's ``clean`` runs, in a fresh interpreter as well.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import msgspec

from ipclab.claims import session
from ipclab.claims.base import Claim, NotRunError
from ipclab.claims.bench import Bench, namespace, run_of
from ipclab.claims.outcome import Measured
from ipclab.exit_codes import ChildExit
from ipclab.host.folders import claim_folder

Note = Callable[[str], object]
"""Shows one line to the user; the line has neither prefix nor line end."""
LIMIT_S = 60.0
_INSIDE = "--inside"
_CLEAN = "--clean"
_LIVE, _QUIET = "live", "quiet"
_TO_CLEAN = "to-clean"
"""A file that exists in the folder of an experiment whose claim has something to clean up."""
_CLEAN_S = 15.0
_TAIL_LINES = 15
_STACK_S = 1.0


def measure(
    path: Path,
    *,
    note: Note,
    environ: Mapping[str, str] | None = None,
    live: bool = False,
    limit_s: float = LIMIT_S,
    begins: Callable[[str], Callable[[], object]] = lambda _: lambda: None,
) -> Measured:
    """Run the experiment in this file. ``live`` shows what it prints; otherwise that is kept for a failure.

    ``note`` gets a line for the user where something may be left on a server. ``begins(run)`` is called
    before it begins, with the prefix of the names that it makes on servers; what it returns is called once
    all of them are deleted. Raise nothing for errors inside. When interrupted, end everything first.
    """
    from ipclab.host.interruptions import ending_blocked, sigint_blocked

    with claim_folder() as folder, (folder / "output").open("w+b") as output:
        report = folder / "report"
        command = [sys.executable, str(path), _INSIDE, str(folder), _LIVE if live else _QUIET]
        # What multiprocessing puts into the folder for temporary files is deleted with this one, too.
        environ = {**(os.environ if environ is None else environ), "TMPDIR": str(folder)}
        is_clean = begins(run_of(folder))
        process = None
        try:
            with sigint_blocked():
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=None if live else output,
                    stderr=None if live else output,
                    env=environ,
                    start_new_session=True,
                )
            try:
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                _tell_stack(process)
        finally:
            if process is not None:
                with ending_blocked():
                    # The system does not reuse a session's number as long as any process is in it.
                    session.end(process.pid)
                    process.wait()
                    if _clean(path, folder, environ, note):
                        is_clean()
        if report.exists():
            return msgspec.json.decode(report.read_bytes(), type=Measured)
        output.seek(0)
        return Measured(failure=_failure(process.returncode, output.read().decode(errors="replace"), limit_s))


def _clean(path: Path, folder: Path, environ: Mapping[str, str], note: Note) -> bool:
    """Delete what an experiment that has ended left on servers; note a failure, and return whether it
    succeeded."""
    from ipclab.host.interruptions import sigint_blocked

    if not (folder / _TO_CLEAN).exists():
        return True
    with sigint_blocked():
        process = subprocess.Popen(
            [sys.executable, str(path), _CLEAN, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_CLEAN_S)
    session.end(process.pid)
    failed = bool(process.wait())
    if failed:
        note(f"{path.stem} may have left keys or queues on a server: delete {namespace(folder)}:…")
    return not failed


def _tell_stack(process: subprocess.Popen[bytes]) -> None:
    """Make a process that takes too long write on its stderr where it is."""
    process.send_signal(signal.SIGUSR1)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STACK_S)


def _failure(code: int, output: str, limit_s: float) -> str:
    tail = "\n".join(output.splitlines()[-_TAIL_LINES:])
    what = f"not done within {limit_s:.0f} s" if code == -signal.SIGKILL else f"ended with {code}"
    return f"{what}\n{tail}".strip()


def serve(claim: Claim[Any], arguments: Sequence[str], note: Note) -> None:
    """Carry out what ``measure()`` has asked of the file of a claim, and do not return then.

    ``arguments`` are those of the program. Return where they are not from ``measure()``: then a user runs
    the file. ``note`` gets a line for the user where something may be left on a server.
    """
    match [*arguments]:
        case [word, folder, shown] if word == _INSIDE:
            _inside(claim, Path(folder), live=shown == _LIVE, note=note)
        case [word, folder] if word == _CLEAN:
            assert claim.clean is not None
            claim.clean(Bench(Path(folder)))
            sys.exit(ChildExit.DONE)


def _inside(claim: Claim[Any], folder: Path, *, live: bool, note: Note) -> NoReturn:
    """Run the experiment in its process. Leave by ``os._exit``, so that nothing that hangs can keep it."""
    from ipclab.host.interruptions import die_with_parent

    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, partial(_end_all, folder, note))
    faulthandler.register(signal.SIGUSR1)
    # A Python handler does not end a process that is about to block, and Pool.terminate() would wait.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    die_with_parent(signal.SIGTERM)
    bench = Bench(folder, live=live)
    if claim.clean is not None:
        (folder / _TO_CLEAN).touch()
    began = time.monotonic()
    found: dict[str, Any] = {}
    try:
        found["evidence"] = msgspec.to_builtins(claim.experiment(bench))
    except NotRunError as error:
        found["not_run"] = str(error)
    except BaseException:  # noqa: BLE001 - it is passed on as text
        found["failure"] = traceback.format_exc()
    seconds = time.monotonic() - began
    session.end(os.getpid())
    measured = Measured(timeline=bench.timeline.events(), seconds=seconds, **found)
    (folder / "report.part").write_bytes(msgspec.json.encode(measured))
    (folder / "report.part").rename(folder / "report")
    os._exit(ChildExit.DONE)


def _end_all(folder: Path, note: Note, _signal: int, _frame: FrameType | None) -> NoReturn:
    session.end(os.getpid())
    _clean(Path(sys.argv[0]), folder, os.environ, note)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(ChildExit.GAVE_UP)
