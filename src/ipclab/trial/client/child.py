"""A process of a scenario: it runs one function, and where it hangs that can be told."""

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
"""How long anything that ought to happen may take, on however slow a machine."""
HANG_S = 0.6
"""How long what is known to hang must not have come back before it is looked at."""
_LOOKS = hang.LOOKS


class Said(msgspec.Struct, frozen=True):
    """What a process of a scenario says to the lab."""

    value: Any


class Child:
    """Runs ``function(parent, *args)``; ``parent`` is a connection to talk over.

    It is a child of the lab's supervisor, and ends with the lab. What the function sends by ``say()`` is read
    by ``heard()``, what it returns by ``result()``. With ``forks`` it may have processes of its own, which
    have to see to it that they end when it does; no thread of the lab's is in it then. Start it by
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
        # Where a library's threads run meanwhile, as those of a Pool do, to dump all of them may crash.
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
        """Send the function something. Raises OSError where the process is gone."""
        self._child.link.send(value)

    def heard(self, within_s: float = PATIENCE_S) -> Any:
        """Return the next thing that the function said. Raises ChannelError where nothing comes any more."""
        self._await_message(within_s)
        if self._child.inbox:
            return self._child.inbox.popleft().value
        if self._child.returned is not None:
            raise ChannelError(f"{self.name} returned too early: {self._child.returned.value}")
        raise ChannelError(self._fault())

    def result(self, within_s: float = PATIENCE_S) -> Any:
        """Return what the function returned. Raises ChannelError where it raised, died or took too long."""
        self._await_message(within_s)
        if self._child.inbox:
            raise ChannelError(f"{self.name} said: {self._child.inbox.popleft().value}")
        if self._child.returned is None:
            raise ChannelError(self._fault())
        return self._child.returned.value

    def ended_within(self, seconds: float) -> bool:
        """Wait until there is a message from it, or it is gone, for so long at most.

        The time until it has started does not count.
        """
        self._await_begin()
        return self._await(lambda: self._has_come, seconds)

    def stands(self, after_s: float = 0.0) -> str:
        """Wait until it stands still, and return where; empty where it has something to say, or is gone.

        It stands still as ``host.hang`` defines it: two looks, the first one after ``after_s``, find its main
        thread asleep in the same place. It is left as it is. Raises ChannelError where it does not come to
        rest.
        """
        found = hang.place_of_rest(self._look, self.ended_within, after_s=after_s, looks=_LOOKS)
        if found is None:
            raise ChannelError(f"{self.name} neither came back nor stood still")
        return place(found) if found else ""

    def join(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the process is gone. Raises ChannelError where it stays."""
        if not self._child.wait_for_end(within_s):
            raise ChannelError(f"{self.name} did not end: {self.stuck()}")

    def hangs(self, after_s: float = HANG_S) -> str:
        """Return where it hangs, as ``stands()`` tells; it is ended then. Empty where it comes back."""
        where = self.stands(after_s)
        if where:
            self.stuck()
            if not stacks.is_whole(self.stack()):
                # To dump all threads failed, as it may where one of them runs meanwhile.
                self._manner.stack_path.write_text(stacks.read(self._manner.look_path))
        return where

    def stuck(self) -> str:
        """End it, and return in which call of which library it was; see ``place``."""
        return place(self._child.end_with_stack())

    def stack(self) -> str:
        """Return the Python stack that it wrote when it was ended by ``stuck()``; empty before."""
        return stacks.read(self._manner.stack_path)

    def stop(self) -> None:
        """Freeze it (SIGSTOP)."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._child.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL, at once, and wait until it is gone."""
        self._child.kill()

    def end(self) -> None:
        """Kill it if it is alive, and reap it."""
        self._child.end()

    @property
    def pid(self) -> int:
        """Its process id."""
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
            raise ChannelError(f"{self.name} did not come back within {within_s:g} s: {self.stuck()}")

    def _await(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Hear the child until the condition holds; return whether it does in time."""
        supervisor.listen([self._child], 0.0)
        deadline = time.monotonic() + within_s
        while not condition():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            supervisor.listen([self._child], left_s)
        return True


def say(parent: Connection, value: Any) -> None:
    """Within a child: send something to the lab, which ``Child.heard()`` returns."""
    parent.send(Said(value))


def hung(*children: Child, right: bool) -> dict[str, str]:
    """Which of these hang, by name, and where; they are ended. Raises ChannelError where one died.

    What is set right is given all the time that there is to come back, so that a slow machine does not look
    like a hang; what is not is known to hang.
    """
    until = time.monotonic() + (PATIENCE_S if right else HANG_S)
    found = {child.name: child.hangs(max(until - time.monotonic(), 0.0)) for child in children}
    for child in children:
        if not found[child.name]:
            child.result()
    return {name: where for name, where in found.items() if where}
