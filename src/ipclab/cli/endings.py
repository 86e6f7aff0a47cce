"""Signals that end the program: the first one is raised, later ones within a short time are ignored.

A second signal that interrupted the clean-up would leave servers behind, while the program says that
everything has been ended.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from ipclab.host.interruptions import ENDING, EndedBySignal

BURST_S = 10.0
"""Signals within this many seconds of the first one are not raised again."""
_LAST_WORDS_S = 1.0
_AGAIN_S = 0.02
_END_WITHIN_S = 5.0


class Endings:
    """The handlers of these signals, for the process that makes this object."""

    def __init__(self) -> None:
        self._lab = os.getpid()
        self._raised_s: float | None = None
        self._over_s: float | None = None
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def install(self) -> None:
        """Handle every signal that ends the lab, except ignored ones, as nohup asks for."""
        for number in ENDING:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._handle)
        sys.unraisablehook = self._unraisable
        # Registered before all others, so it runs last. Python then restores the system's handling of these
        # signals, and another signal would end the program with another code, and with a core dump.
        atexit.register(self._block)

    def over(self) -> None:
        """Raise no signal any more: everything is ended, and all messages are written."""
        self._over_s = time.monotonic()
        sys.unraisablehook = self._hook

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._lab:
            # A forked process that has not yet set its own handlers has nothing to clean up. An exception in
            # the middle of its start would be printed with a traceback.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        now_s = time.monotonic()
        if self._over_s is not None:
            if now_s - self._over_s > _LAST_WORDS_S:
                self._use_former_handler(number, frame)
            return
        if self._raised_s is not None and now_s - self._raised_s < BURST_S:
            return
        self._raised_s = now_s
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise EndedBySignal(number)

    def _block(self) -> None:
        if os.getpid() == self._lab:
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

    def _use_former_handler(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(number, signal.SIG_DFL)
        signal.signal(number, before)
        if callable(before):
            before(number, frame)
        else:
            os.kill(os.getpid(), number)

    def _unraisable(self, unraisable: Any) -> None:
        """Raise a signal again that came while Python ran a finalizer, which lets no exception out."""
        if os.getpid() != self._lab and isinstance(unraisable.exc_value, OSError) and _raced(unraisable):
            # A forked process has set its own handler for a signal while that was already on its way to
            # Python. The process ends with the lab, which got the signal too.
            return
        ended = isinstance(unraisable.exc_value, (KeyboardInterrupt, EndedBySignal))
        if not ended or os.getpid() != self._lab:
            self._hook(unraisable)
            return
        number = getattr(unraisable.exc_value, "number", signal.SIGINT)

        def again(_number: int, frame: FrameType | None) -> None:
            self._raised_s = None
            self._handle(number, frame)

        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _raced(unraisable: Any) -> bool:
    """Return whether Python reports that a signal had lost its handler when it was processed."""
    return "ignored due to race condition" in str(unraisable.exc_value)


def end_what_is_left() -> list[str]:
    """End what this process has started and not ended; return a description of what could not be ended."""
    if "ipclab.brokers.state" not in sys.modules:
        return []
    from ipclab.brokers import state

    left = []
    for folder, record in state.own():
        if not state.end(folder, record, within_s=_END_WITHIN_S):
            left.append(state.describe(record))
    return left
