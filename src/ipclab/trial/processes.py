"""The workers of one trial: starts them, reads their messages, names failures, and ends all of them."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar

from ipclab.backends import checked
from ipclab.host import supervisor
from ipclab.host.child import Manner
from ipclab.host.link import Link
from ipclab.host.stacks import NO_STACK
from ipclab.host.start_methods import StartMethod
from ipclab.host.supervisor import STACK_WAIT_S, Child
from ipclab.trial import worker
from ipclab.trial.assignment import Assignment
from ipclab.trial.machines.clocks import Clocks
from ipclab.trial.orders import Burst, Done, Go, Hold, Quit, Ready, Release, Stop, Withhold


class Worker:
    """A worker as its parent sees it. ``ready``, ``done`` and ``failure`` are set from its messages.

    ``done`` is its first report, ``reports`` has all. ``failure`` says in one line why it gave up or how it
    died. A worker that ends in any other way than by returning from its role has failed, also after a report:
    a crash during close is a crash. ``ended`` is True once its process is known to be gone.
    """

    def __init__(self, assignment: Assignment[Any], child: Child) -> None:
        self.name = assignment.name
        self.role: str = assignment.role
        self.logs: Path = assignment.logs
        self.child = child
        self.ready = False
        self.done: Done | None = None
        self.failure = ""
        self.detail = ""
        self.ended = False
        self.reports: list[Done] = []

    @property
    def process(self) -> BaseProcess:
        """Return the worker's process."""
        return self.child.process

    @property
    def connection(self) -> Link:
        """Return the parent's end of the link to the worker."""
        return self.child.link

    @property
    def pid(self) -> int:
        """Return the worker's process id."""
        return self.child.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the pids of its processes on this machine."""
        return (self.child.pid,)

    @property
    def settled(self) -> bool:
        """Return whether the worker has reported its result, or never will."""
        return self.done is not None or self.gone

    @property
    def gone(self) -> bool:
        """Return whether the worker has ended, or given up."""
        return self.ended or bool(self.failure)

    @property
    def crashed(self) -> bool:
        """Return whether the worker's process ended in any way but by returning or by an exception of a call.

        A segmentation fault, ``os._exit()``, ``sys.exit()`` and an uncaught KeyboardInterrupt count as
        crashes, also while the worker closes its end.
        """
        failed = self.child.failed
        return bool(self.failure) and (failed is None or failed.leaves)

    @property
    def gave_up(self) -> str:
        """Return the failure without the name, such as ``Crash: it was killed by SIGSEGV``."""
        child = self.child
        return child.failed.reason if child.failed else self.failure and f"Crash: it {child.fault}"

    def tell(self, order: Go | Stop | Quit | Burst | Hold | Withhold | Release) -> bool:
        """Send an order; return False where the worker is gone."""
        return self.child.tell(order)

    def take_in(self) -> None:
        """Take over what the supervisor has received from the worker."""
        child = self.child
        while child.inbox:
            message = child.inbox.popleft()
            if isinstance(message, Ready):
                self.ready = True
            elif isinstance(message, Done):
                self.done = self.done or message
                self.reports.append(message)
        if child.failed is not None:
            self.failure, self.detail = f"{self.name}: {child.failed.reason}", child.failed.detail
        elif child.ended and not self.ended and child.fault:
            self.failure = f"{self.name} {child.fault}"
        self.ended = child.ended


LEAD_S = 0.02
"""Time between the starting signal and the start, so that every worker is waiting by then."""


class Crew:
    """All workers of one trial. Use as a context manager: at its end none of them is alive.

    This is a crew of processes on this machine; ``machines.crew`` has that of several machines. ``lead_s`` is
    the time between the starting signal and the start. ``keeps_tails`` says whether the logs of small
    messages have their tails, to be compared after the trial.
    """

    lead_s: ClassVar[float] = LEAD_S
    keeps_tails: ClassVar[bool] = True

    def __init__(self, start_method: StartMethod) -> None:
        self._start_method = start_method
        self.workers: list[Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, assignment: Assignment[Any]) -> Worker:
        """Start the worker for this assignment. Raise ChannelError where it cannot be started."""
        manner = Manner(name=assignment.name, folder=assignment.logs, start_method=self._start_method)
        with checked.sending(assignment.part.backend, self._start_method):
            supervisor.start(
                self._start_method,
                manner,
                worker.main,
                (assignment,),
                entered=lambda child: self.workers.append(Worker(assignment, child)),
            )
        return self.workers[-1]

    @property
    def clocks(self) -> Clocks | None:
        """Return the clocks of the machines; None for workers that share one."""
        return None

    def open(self) -> None:
        """Do what is left to do when all workers are entered; here they have started."""

    def trial_ns(self, own_ns: int) -> int:
        """Return a moment of this process's clock on the clock of the trial; here it is the same clock."""
        return own_ns

    def go(self, start_ns: int, end_ns: int, sample_ns: tuple[int, int]) -> None:
        """Give all workers the starting signal. ``sample_ns`` is when a remote agent reads the CPU clocks."""
        for member in self.workers:
            member.tell(Go(start_ns, end_ns))

    def fetch(self) -> None:
        """Bring the logs in the folder of the trial up to date; here the workers write them."""

    def collect(self) -> None:
        """Bring the logs up to date for the last time, with all times on the clock of the trial."""

    def listen(self, timeout_s: float, among: Sequence[Worker] | None = None) -> None:
        """Take in messages of the workers; wait up to ``timeout_s`` for the first one."""
        heard = [w for w in among or self.workers if not w.ended]
        supervisor.listen([w.child for w in heard], timeout_s)
        for member in heard:
            member.take_in()

    def by_role(self, *names: str) -> list[Worker]:
        """Return the workers that play one of these roles."""
        return [w for w in self.workers if w.role in names]

    @property
    def failures(self) -> list[Worker]:
        """Return the workers that gave up, died, or crashed when they closed."""
        return [w for w in self.workers if w.failure]

    def stacks(self, among: Sequence[Worker] | None = None) -> dict[str, str]:
        """End every worker that is alive and has not reported; return the Python stack of each, by name.

        Where all have reported, those still alive cannot close: end these instead. ``among`` limits the
        choice.
        """
        alive = [w for w in self.workers if w.process.is_alive()]
        stuck = list(among) if among is not None else [w for w in alive if not w.settled] or alive
        found = supervisor.end_with_stacks([w.child for w in stuck], STACK_WAIT_S)
        return {w.name: stack or NO_STACK for w, stack in zip(stuck, found, strict=True)}

    def end(self) -> None:
        """Kill the workers still alive and reap all. Their logs are in files, so nothing is lost."""
        supervisor.reap([w.child for w in self.workers])
