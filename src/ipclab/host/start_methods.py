"""The start methods of worker processes: always chosen, never left to the platform's default."""

from __future__ import annotations

import multiprocessing
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
    return cast(Context, multiprocessing.get_context(start_method))


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
