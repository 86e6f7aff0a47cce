"""A process of an experiment that may hang: it is supervised, and the lab can tell where it is stuck."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ipclab.claims.text import Text
from ipclab.errors import IpclabError
from ipclab.host import hang, stacks, supervisor
from ipclab.host.child import Manner
from ipclab.host.link import Link
from ipclab.host.start_methods import StartMethod

PATIENCE_S = 20.0
"""Seconds that any step which should succeed may take, also on a slow machine."""
HANG_S = 1.0
"""Seconds for which a call must not have returned before it counts as hung."""
_LOOKS = 10
_BETWEEN_LOOKS_S = 0.2


class ExperimentError(IpclabError):
    """An experiment did not get to the point where it could show anything."""


class Fate(msgspec.Struct, frozen=True):
    """How a supervised child ended.

    ``returned``, or it ``raised`` (``error`` has the exception), ``died`` (``error`` has the cause), or
    ``hung``: ``stuck_in`` names the innermost frame of its main thread, and the claim's own line that led
    there; ``stack`` is the whole stack, a frame per line, innermost first.
    """

    outcome: Literal["returned", "raised", "died", "hung"]
    error: str = ""
    stuck_in: str = ""
    stack: str = ""

    @property
    def hung(self) -> bool:
        """Return whether the child was still at the same place when the time was over."""
        return self.outcome == "hung"

    def text(self, returned: Text) -> Text:
        """Return the fate as a text for the evidence; ``returned`` is the text for a normal return."""
        if self.hung:
            return Text(f"waits for ever: {self.stuck_in}", f"永远阻塞：{self.stuck_in}")
        return returned if self.outcome == "returned" else Text(self.error, self.error)


class Child:
    """A process that runs ``function(*args)``. Made by ``Bench.start``; ends with the experiment.

    It is a child of the lab's supervisor that keeps the signals that it inherits, because a claim may be
    about them. The time that a process needs to start does not count as hanging. Not thread-safe.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        start_method: StartMethod,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        # Not its repr(): a method's repr() shows the object, and the repr() of an Event waits for its lock.
        self._function = getattr(function, "__qualname__", "the function")
        # The final stack has only the main thread: a dump of the threads of a Pool while they run can crash.
        manner = Manner(
            name=name, folder=folder, start_method=start_method, keeps_signals=True, all_threads=False
        )
        self._child = supervisor.start(start_method, manner, _call, (function, args))

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, like ``multiprocessing.Process.exitcode``."""
        return self._child.exit_code

    def result(self, within_s: float = PATIENCE_S) -> Any:
        """Return what the function returned. Raise ExperimentError where it raised, died or hangs."""
        fate = self.watch(within_s)
        if fate.outcome != "returned":
            detail = fate.error or fate.stuck_in
            raise ExperimentError(f"{self._child.name} {fate.outcome}: {detail}\n{fate.stack}")
        assert self._child.returned is not None
        return self._child.returned.value.value

    def watch(self, for_s: float = HANG_S) -> Fate:
        """Wait for its end for up to ``for_s`` after its function was called, and return its fate.

        It counts as hung, and is left running, as ``host.hang`` defines it: two looks find its main thread
        asleep in the same place. Raise ExperimentError where it neither ends nor stands still.
        """
        self._await(lambda: self._child.began or self._settled, PATIENCE_S)
        dump = hang.place_of_rest(
            self._child.look_asleep,
            self._gets_message,
            after_s=for_s,
            looks=_LOOKS,
            between_s=_BETWEEN_LOOKS_S,
        )
        if dump is None:
            raise ExperimentError(f"{self._child.name} neither ended nor stood still")
        if not dump:
            return self._fate()
        found = self._frames(dump)
        return Fate("hung", stuck_in=place(found), stack="\n".join(found))

    def kill(self) -> None:
        """End the process by SIGKILL, and wait until it is gone."""
        self._child.kill()

    def stop(self) -> None:
        """Freeze the process (SIGSTOP)."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the process (SIGCONT)."""
        self._child.signal(signal.SIGCONT)

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self._child.alive

    def join(self, within_s: float = PATIENCE_S) -> int:
        """Wait until the process has ended; return its exit code. Raise ExperimentError if it does not."""
        self._child.wait_for_end(within_s)
        if self._child.exit_code is None:
            where = place(self._frames(self._child.look()))
            raise ExperimentError(f"{self._child.name} did not end: {where}")
        return self._child.exit_code

    @property
    def _settled(self) -> bool:
        child = self._child
        return child.ended or child.returned is not None or child.failed is not None

    def _gets_message(self, within_s: float) -> bool:
        return self._await(lambda: self._settled, within_s)

    def _await(self, condition: Callable[[], bool], within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while not condition():
            left_s = deadline - time.monotonic()
            supervisor.listen([self._child], max(left_s, 0.0))
            if left_s <= 0:
                return condition()
        return True

    def _fate(self) -> Fate:
        child = self._child
        if child.returned is not None:
            end = child.returned.value
            return Fate("raised", error=end.words) if isinstance(end, _Raised) else Fate("returned")
        if child.failed is not None and not child.failed.leaves:
            return Fate("raised", error=child.failed.reason)
        child.wait_for_end(PATIENCE_S)
        return Fate("died", error=supervisor.in_words(child.exit_code).removeprefix("was "))

    def _frames(self, dump: str) -> list[str]:
        """Return the stack; empty where there is none. A function that is not in Python has no frame."""
        return frames(dump) or ([self._function] if dump else [])


class _Returned(msgspec.Struct, frozen=True):
    value: Any


class _Raised(msgspec.Struct, frozen=True):
    words: str


def _call(_link: Link, function: Callable[..., Any], args: tuple[Any, ...]) -> _Returned | _Raised:
    """Call the function in the child. An exception is a result of the child, and does not end its process."""
    try:
        return _Returned(function(*args))
    except Exception as error:  # noqa: BLE001 - every exception is reported
        return _Raised("".join(traceback.format_exception_only(error)).strip())


_CALL = stacks.Mark.of(_call)


def frames(dump: str) -> list[str]:
    """Return the stack of the main thread, innermost first, up to the child's function.

    Each is a line such as ``Lib/multiprocessing/synchronize.py:95 __enter__``.
    """
    lines = []
    for frame in stacks.main_frames(dump):
        if _CALL.fits(frame):
            break
        lines.append(str(frame))
    return lines


def place(stack: Sequence[str]) -> str:
    """Return where a stack stands: its innermost frame, and the claim's own frame that called it."""
    if not stack:
        return ""
    own = next((frame for frame in stack if "/" not in frame.partition(":")[0]), stack[0])
    return stack[0] if own is stack[0] else f"{stack[0]} ← {own}"
