"""The racers of one trial as their parent sees them: ordered, held, stopped, and all ended with the trial."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from ipclab.backends import checked
from ipclab.backends.base import Counter, SharedState
from ipclab.errors import ChannelError
from ipclab.history.log import FaultLog
from ipclab.host import hang, supervisor
from ipclab.host.child import Manner
from ipclab.host.clock import now_ns
from ipclab.host.interruptions import ending_blocked
from ipclab.host.supervisor import Child
from ipclab.trial import racer
from ipclab.trial.primitive import adapters, name_primitive
from ipclab.trial.racer import Do, Done, GoOn, Held, Racing, Ready, Run

State = Literal["idle", "busy", "held", "done"]


class Racer:
    """A racer. ``state`` is the state of its operation: in progress, held, or done."""

    def __init__(self, name: str, child: Child) -> None:
        self.name = name
        self.child = child
        self.state: State = "busy"
        self.holdable = self.out_of_reach = False
        self.answer: Any = None

    @property
    def process(self) -> BaseProcess:
        """Return the racer's process."""
        return self.child.process

    def begin(self, f: str, value: Any = None) -> None:
        """Order the racer to begin an operation."""
        self.child.link.send(Do(f, value))
        self.state = "busy"

    def run(self, order: Run) -> None:
        """Order the racer to race by itself."""
        self.child.link.send(order)
        self.state = "busy"

    def go_on(self) -> None:
        """Let the racer complete the operation in which it is held."""
        self.child.link.send(GoOn())
        self.state = "busy"

    def hear(self, within_s: float) -> State:
        """Wait until its operation is held or done, or this long. Raise ChannelError where it gave up."""
        hear_all([self], within_s)
        return self.state

    def look(self) -> bool:
        """Take in the racer's messages; return whether its operation is still in progress.

        Raise ChannelError where it gave up.
        """
        while self.state == "busy" and self.child.inbox:
            self._take(self.child.inbox.popleft())
        if self.state == "busy" and (self.child.failed is not None or self.child.ended):
            raise ChannelError(self.complaint() or f"{self.name} ended before it was told to")
        return self.state == "busy"

    def complaint(self) -> str:
        """Return what was wrong with the racer's end, in one line; empty where nothing was."""
        fault = self.child.fault
        return f"{self.name}{':' if self.child.failed else ''} {fault}" if fault else ""

    def _take(self, message: object) -> None:
        self.state = "held" if isinstance(message, Held) else "done"
        if isinstance(message, Ready):
            self.holdable, self.out_of_reach = message.holdable, message.out_of_reach
        elif isinstance(message, Done):
            self.answer = message.answer


def hear_all(racers: Sequence[Racer], within_s: float) -> None:
    """Wait until the operation of each racer is held or done, at most this long.

    All are awaited at once, so that the error names the racer that gave up first. Raise ChannelError for it.
    """
    until_s = time.monotonic() + within_s
    while busy := [one for one in racers if one.look()]:
        left_s = until_s - time.monotonic()
        if left_s < 0:
            return
        supervisor.listen([one.child for one in busy], left_s)


class Racers:
    """All racers of a trial. Use as a context manager: at its end none of them is alive.

    ``patience_s`` is how long an operation may take that has nothing to wait for. After it: ChannelError.
    """

    def __init__(self, shared: SharedState, folder: Path, *, patience_s: float) -> None:
        self._shared = shared
        self._folder = folder
        self._patience_s = patience_s
        self._all: list[Racer] = []
        self._faults = FaultLog(folder / "faults.log")

    def __enter__(self) -> Racers:
        return self

    def __exit__(self, *_: object) -> None:
        with ending_blocked():
            supervisor.reap([one.child for one in self._all])
            self._faults.close()

    @property
    def logs(self) -> list[Path]:
        """Return the logs of the racers and of the faults."""
        return sorted(self._folder.glob("*.log"))

    def start(self, count: int, *, holding: bool) -> list[Racer]:
        """Start ``count`` racers, and the counter's owner where there is one; return when all are ready."""
        if isinstance(self._shared, Counter) and self._shared.has_owner:
            self._settled(self._start("owner", racer.own, self._shared))
        started = []
        for index in range(count):
            log = self._folder / f"process-{index}.log"
            racing = Racing(index=index, shared=self._shared, log=log, holding=holding)
            started.append(self._start(f"process {index}", racer.main, racing))
        self._all_settled(started)
        return started

    def finish(self, one: Racer, lasting_s: float = 0.0) -> Any:
        """Wait until its operation, which by itself takes ``lasting_s``, is done; let it continue where it is
        held. Return its answer."""
        while self._settled(one, lasting_s) == "held":
            one.go_on()
        return one.answer

    def do(self, one: Racer, f: str, value: Any = None) -> Any:
        """Let the racer do a whole operation; return the answer."""
        one.begin(f, value)
        return self.finish(one)

    def run(self, racers: Sequence[Racer], start_ns: int, end_ns: int, most: int = 0) -> list[int]:
        """Let all of them race from ``start_ns`` to ``end_ns``; return how much each one did."""
        for one in racers:
            one.run(Run(start_ns, end_ns, most))
        lasting_s = max(end_ns - now_ns(), 0) / 1e9
        self._all_settled(racers, lasting_s)
        return [int(self.finish(one, lasting_s)) for one in racers]

    def settled(self, one: Racer, within_s: float | None = None) -> State:
        """Return the state once its operation is held or done, or ``busy`` after ``within_s`` if given."""
        return self._settled(one) if within_s is None else one.hear(within_s)

    def stop(self, one: Racer) -> None:
        """Stop the racer (SIGSTOP), and log that in the history."""
        self._faults.begin("pause", one.name)
        one.child.signal(signal.SIGSTOP)

    def resume(self, one: Racer) -> None:
        """Resume the racer (SIGCONT), and log that in the history."""
        one.child.signal(signal.SIGCONT)
        self._faults.end("pause", one.name)

    def leave(self) -> None:
        """Let all racers close their connections and end; the owner ends when it is told to.

        Raise ChannelError where a racer crashes while it closes, or does not return from that.
        """
        if isinstance(self._shared, Counter) and self._shared.has_owner:
            self.do(self._all[-1], "stop")
        for one in self._all:
            one.child.tell(None)

        def closed() -> bool:
            self._complain()
            return all(one.child.ended for one in self._all)

        def listen(until: Callable[[], bool], seconds: float) -> bool:
            until_s = time.monotonic() + seconds
            while not until() and (left_s := until_s - time.monotonic()) > 0:
                supervisor.listen([one.child for one in self._all], left_s)
            return until()

        if not self._outlast(listen, closed, self._patience_s):
            late = next(one for one in self._all if not one.child.ended)
            place = self._place(late)
            raise ChannelError(f"{late.name} did not close within {self._patience_s:g} s{place}")

    def _complain(self) -> None:
        """Raise ChannelError for a racer that has ended with an error."""
        for one in self._all:
            if one.child.ended and (complaint := one.complaint()):
                raise ChannelError(complaint)

    def _settled(self, one: Racer, lasting_s: float = 0.0) -> State:
        self._all_settled([one], lasting_s)
        return one.state

    def _all_settled(self, racers: Sequence[Racer], lasting_s: float = 0.0) -> None:
        """Wait for all of them at once. Raise ChannelError where one gave up or does not return."""

        def settled() -> bool:
            return not [one for one in racers if one.look()]

        def listen(until: Callable[[], bool], seconds: float) -> bool:
            hear_all(racers, seconds)
            return until()

        if not self._outlast(listen, settled, lasting_s + self._patience_s):
            late = next(one for one in racers if one.state == "busy")
            place = self._place(late)
            raise ChannelError(f"{late.name} did not return within {self._patience_s:g} s{place}")

    def _outlast(
        self,
        listen: Callable[[Callable[[], bool], float], bool],
        until: Callable[[], bool],
        within_s: float,
    ) -> bool:
        """Wait until a condition holds; return False only where the racers hang (see ``host.hang``)."""
        pids = [one.child.pid for one in self._all]
        return hang.outlast(listen, until, within_s=within_s, pids=lambda: pids) == "came"

    def _place(self, one: Racer) -> str:
        """End a late racer, and return where it hung, as ``: it hung in Lock.acquire``, or that it ran."""
        if hang.at_work([one.child.pid]):
            one.child.end_with_stack()
            return ": it still ran, so it is slow and did not hang"
        return f": it hung in {name_primitive(one.child.end_with_stack(), adapters(type(self._shared)))}"

    def _start(self, name: str, role: Callable[..., None], what: object) -> Racer:
        method = self._shared.site.start_method
        manner = Manner(name=name.replace(" ", "-"), folder=self._folder, start_method=method)
        with checked.sending(self._shared, method):
            supervisor.start(
                method, manner, role, (what,), entered=lambda child: self._all.append(Racer(name, child))
            )
        return self._all[-1]
