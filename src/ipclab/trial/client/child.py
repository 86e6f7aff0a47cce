"""A process of a scenario: it runs one function, and the lab can tell where it hangs."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from ipclab.errors import ChannelError
from ipclab.host import hang, stacks, supervisor
from ipclab.host.child import Manner
from ipclab.host.start_methods import StartMethod
from ipclab.trial.client.stack import place

PATIENCE_S = 30.0
"""Seconds that any step which should succeed may take, also on a slow machine."""
HANG_S = 0.6
"""Seconds for which a call that is known to hang must not have returned before its stack is read."""
_LOOKS = hang.LOOKS


class Said(msgspec.Struct, frozen=True):
    """A message of a scenario's process to the lab."""

    value: Any


class Child:
    """Runs ``function(parent, *args)``; ``parent`` is a connection to the lab.

    It is a child of the lab's supervisor, and ends with the lab. ``heard()`` returns what the function sends
    by ``say()``, ``result()`` what it returns. With ``forks`` it may have child processes, which must end
    when it does; it then runs without a thread of the lab. Start it by
    ``ipclab.trial.client.bench.Bench.start``, which ends it whatever happens, or end it yourself. Not
    thread-safe.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        start_method: StartMethod,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        forks: bool = False,
    ) -> None:
        self.name = name
        # A dump of all threads may crash while threads of a library run, such as those of a Pool.
        self._manner = Manner(
            name=name,
            folder=folder,
            start_method=start_method,
            forks=forks,
            all_threads=not forks,
            leaves_at_once=True,
        )
        self._child = supervisor.start(start_method, self._manner, function, args)

    def tell(self, value: Any) -> None:
        """Send a value to the function. Raise OSError where the process is gone."""
        self._child.link.send(value)

    def heard(self, within_s: float = PATIENCE_S) -> Any:
        """Return the next value that the function said. Raise ChannelError where no more will come."""
        self._await_message(within_s)
        if self._child.inbox:
            return self._child.inbox.popleft().value
        if self._child.returned is not None:
            raise ChannelError(f"{self.name} returned too early: {self._child.returned.value}")
        raise ChannelError(self._fault())

    def result(self, within_s: float = PATIENCE_S) -> Any:
        """Return what the function returned. Raise ChannelError where it raised, died or took too long."""
        self._await_message(within_s)
        if self._child.inbox:
            raise ChannelError(f"{self.name} said: {self._child.inbox.popleft().value}")
        if self._child.returned is None:
            raise ChannelError(self._fault())
        return self._child.returned.value

    def ended_within(self, seconds: float) -> bool:
        """Wait at most this long for a message of the process, or its end; return whether there was one.

        The time until the process has started does not count.
        """
        self._await_begin()
        return self._await(lambda: self._has_come, seconds)

    def stands(self, after_s: float = 0.0) -> str:
        """Wait until the process stands still and return where; empty if it sends a message or ends first.

        It stands still as ``host.hang`` defines it: two looks, the first one after ``after_s``, find its main
        thread asleep in the same place. The process keeps running. Raise ChannelError where it does not come
        to rest.
        """
        found = hang.place_of_rest(self._look, self.ended_within, after_s=after_s, looks=_LOOKS)
        if found is None:
            raise ChannelError(f"{self.name} neither returned nor stood still")
        return place(found) if found else ""

    def join(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the process has ended. Raise ChannelError where it does not in time."""
        if not self._child.wait_for_end(within_s):
            raise ChannelError(f"{self.name} did not end: {self.stuck()}")

    def hangs(self, after_s: float = HANG_S) -> str:
        """Return where the process hangs, as ``stands()`` does, and end it. Empty where its call returns."""
        where = self.stands(after_s)
        if where:
            self.stuck()
            if not stacks.is_whole(self.stack()):
                # The dump of all threads failed, as it may where one of them runs meanwhile.
                self._manner.stack_path.write_text(stacks.read(self._manner.look_path))
        return where

    def stuck(self) -> str:
        """End the process; return the library call in which it was, see ``place``."""
        return place(self._child.end_with_stack())

    def stack(self) -> str:
        """Return the Python stack that the process wrote when ``stuck()`` ended it; empty before."""
        return stacks.read(self._manner.stack_path)

    def stop(self) -> None:
        """Freeze the process (SIGSTOP)."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the process (SIGCONT)."""
        self._child.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process by SIGKILL, at once, and wait until it is gone."""
        self._child.kill()

    def end(self) -> None:
        """Kill the process if it is alive, and reap it."""
        self._child.end()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._child.pid

    @property
    def _has_come(self) -> bool:
        child = self._child
        over = child.ended or child.returned is not None or child.failed is not None
        return bool(child.inbox) or over

    def _look(self) -> str:
        return self._child.look_asleep()

    def _fault(self) -> str:
        child = self._child
        if child.failed is not None:
            return f"{self.name} raised: {child.failed.reason}"
        child.wait_for_end(supervisor.STACK_WAIT_S)
        return f"{self.name} {child.how_it_ended()}"

    def _await_begin(self) -> None:
        if not self._await(lambda: self._child.began or self._has_come, PATIENCE_S):
            raise ChannelError(f"{self.name} did not start")

    def _await_message(self, within_s: float) -> None:
        if not self.ended_within(within_s):
            raise ChannelError(f"{self.name} did not return within {within_s:g} s: {self.stuck()}")

    def _await(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Read the child's messages until the condition holds; return whether it does in time."""
        supervisor.listen([self._child], 0.0)
        deadline = time.monotonic() + within_s
        while not condition():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            supervisor.listen([self._child], left_s)
        return True


def say(parent: Connection, value: Any) -> None:
    """Send a value from a child to the lab, where ``Child.heard()`` returns it."""
    parent.send(Said(value))


def hung(*children: Child, right: bool) -> dict[str, str]:
    """Return which of these hang, by name, and where; end them. Raise ChannelError where one died.

    With ``right`` the library is used correctly, so each gets the full time to return and a slow machine does
    not look like a hang; without it the call is known to hang.
    """
    until = time.monotonic() + (PATIENCE_S if right else HANG_S)
    found = {child.name: child.hangs(max(until - time.monotonic(), 0.0)) for child in children}
    for child in children:
        if not found[child.name]:
            child.result()
    return {name: where for name, where in found.items() if where}
