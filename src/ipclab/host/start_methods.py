"""The start methods of worker processes: always chosen, never left to the platform's default."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import resource_tracker
from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext
from typing import Literal, cast

from ipclab.host.safe_path import guard_helpers

StartMethod = Literal["fork", "spawn", "forkserver"]
Context = ForkContext | ForkServerContext | SpawnContext


def context(start_method: StartMethod) -> Context:
    """Return the multiprocessing context of this start method.

    Raise ValueError where the platform has none.
    """
    guard_helpers()
    if start_method != "fork":
        _shield_tracker()
    return cast(Context, multiprocessing.get_context(start_method))


def _shield_tracker() -> None:
    """Start multiprocessing's resource tracker so that neither Ctrl-\\ nor a closed terminal ends it.

    It ignores Ctrl-C and SIGTERM by itself. One that took its place would not know the names that it knew,
    and would print a traceback for each. A fork context needs none, because its locks have no names.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGQUIT, signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def default() -> StartMethod:
    """Return ``fork`` where the platform has it, else ``spawn``.

    The lab's own process has no threads, so forking it is safe. A forked worker is ready within milliseconds,
    and start-up is never inside a measured window anyway. Every result says which method it used.
    """
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def others() -> list[StartMethod]:
    """Return the start methods of the platform that are not the default one."""
    return [cast(StartMethod, m) for m in multiprocessing.get_all_start_methods() if m != default()]


def require_guarded_main() -> None:
    """End the calling process, with one line, where it starts processes while it is itself being started.

    With spawn and forkserver a new process imports the program's main module. A program that starts the lab
    at its top level would start it again in every worker.
    """
    if getattr(multiprocessing.process.current_process(), "_inheriting", False):
        raise SystemExit(
            "ipclab: the program starts ipclab while it is imported: put that into a function, "
            "and call it under: if __name__ == '__main__'"
        )
