"""Signals that end the lab: delayed where an end in the middle would leave something behind, or passed on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals that end the lab: Ctrl-C, SIGTERM, the closing of its terminal, and Ctrl-\\."""


class EndedBySignal(BaseException):
    """The lab was told to end by the signal ``number``. SIGINT is raised as KeyboardInterrupt."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Delay Ctrl-C within the block. A process started meanwhile inherits the block and so never gets one.

    This works for the calling thread; a process with other threads may still be interrupted.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def ending_blocked() -> Iterator[None]:
    """Delay every signal that ends the lab within the block, whatever other threads there are.

    Signals are noted meanwhile and raised again at the end; ignored signals stay ignored. Outside the main
    thread, where Python runs no handler, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    handled = {number: was for number, was in before.items() if was not in (signal.SIG_IGN, None)}
    for number in handled:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, was in handled.items():
            signal.signal(number, was)
        for late in dict.fromkeys(came):
            signal.raise_signal(late)


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Delay every signal that ends the lab while a process is started and registered to be ended.

    An end between the two would leave the process running. The process inherits the block of Ctrl-C.
    """
    with ending_blocked(), sigint_blocked():
        yield


def die_with_parent(number: signal.Signals) -> None:
    """Let Linux send this signal to the calling process when its parent is gone, however that ended.

    SIGKILL reaches a stopped process too, which could not end by itself. The parent of a process that a
    forkserver has started is the forkserver, which ends with the lab.
    """
    if sys.platform == "linux":
        import ctypes

        _close_forkserver_pipe()

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, number)


def _close_forkserver_pipe() -> None:
    """Close this process's pipe to the forkserver, which would keep the forkserver alive.

    A forkserver lives as long as any process holds a pipe to it, and each process that it starts gets one. So
    none of them would end by its death. A process without that pipe starts a forkserver of its own if needed.
    """
    from multiprocessing import forkserver

    # The process that started the server knows its pid; the others only have the pipe.
    held: Any = forkserver._forkserver
    if held._forkserver_pid is None and held._forkserver_alive_fd is not None:
        os.close(held._forkserver_alive_fd)
        held._forkserver_alive_fd = None
