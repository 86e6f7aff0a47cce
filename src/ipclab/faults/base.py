"""The contract of a fault: one object that says where it applies, and injects, confirms and heals it.

Every fault enters itself into the history with its interval. What was stopped is always resumed, and what was
cut is always joined again: faults use context managers, whose end no signal interrupts. Each checks by the
state of the system, not by its consequences, whether it was in force: a fault that did not take effect shows
nothing. Only brokers that the lab started may be harmed; the methods of ``Broker`` refuse others.
"""

from __future__ import annotations

import abc
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ipclab.backends.base import Guarantees, LossCause
from ipclab.faults.proxy.handle import Proxy
from ipclab.faults.server import Server
from ipclab.faults.words import Effect, Moment, Target
from ipclab.history.log import FaultLog

InForce = Callable[[], bool]
"""Whether the fault has certainly taken effect, and still lasts; the check may take a moment."""
FAULT_S = 1.2
"""How long a temporary fault lasts: long enough for another consumer to claim a stream's message."""
EFFECT_WITHIN_S = 10.0
"""How long a fault may take before it counts as not in force."""


CRASHES: Mapping[Target, LossCause] = {
    "producer": "producer crash",
    "consumer": "consumer crash",
    "broker": "broker crash",
}
"""The loss cause of the end of each target."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The properties of a channel that matter to faults.

    ``broker``      it uses a broker; ``helper``: it uses a server process of the backend's own. Otherwise it
                    exists only in the pipes of the processes.
    ``confirms``    its producers get answers.
    ``impossible``  moments that cannot be brought about on it, with the reason in one line.
    """

    broker: bool
    helper: bool
    confirms: bool = True
    impossible: Mapping[str, str] | None = None


class Process(Protocol):
    """A supervised process; see ``host.supervisor.Child``."""

    @property
    def alive(self) -> bool:
        """Return whether the process runs."""

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, like ``multiprocessing.Process.exitcode``."""

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal; do nothing where it is gone."""

    def wait_for_end(self, within_s: float) -> bool:
        """Wait at most this long until the process has ended; return whether it has."""

    def kill(self) -> None:
        """End the process by SIGKILL, and wait until it is gone."""


class Victim(Protocol):
    """A worker that a fault strikes."""

    @property
    def name(self) -> str:
        """Return the name of the worker in the history."""

    @property
    def role(self) -> str:
        """Return the role: ``producer`` or ``consumer``."""

    @property
    def pid(self) -> int:
        """Return the process id."""

    @property
    def child(self) -> Process:
        """Return the process."""


class Scene(Protocol):
    """The trial as a fault sees it, and what it may ask of the trial meanwhile.

    ``victim``   the worker that it strikes; None where the target is the broker.
    ``on_line``  the workers whose connections to the broker it affects.
    """

    log: FaultLog
    server: Server
    target: Target
    moment: Moment
    victim: Victim | None
    on_line: Sequence[Victim]

    @property
    def proxy(self) -> Proxy:
        """Return the proxy in front of the broker; only for a fault that is ``on_the_line``."""

    def takes_effect(self) -> None:
        """Note the time, and release what was held in the middle of a message."""

    def pass_time(self, seconds: float) -> None:
        """Let the trial continue for this long."""

    def wait(self, until: Callable[[], bool], within_s: float) -> bool:
        """Let the trial continue until the condition holds; return whether it did in time."""

    def replace(self, victim: Victim) -> None:
        """Start a new process in the place of a worker that the fault has ended."""

    def let_work(self) -> None:
        """Let the consumers that the lab holds acknowledge, and messages flow."""

    def consumers_stand_still(self) -> AbstractContextManager[object]:
        """Return a context in which consumers stand still, as slow ones would; no fault, so in no history."""

    def fill(self, room_bytes: int | None) -> int:
        """Let the producers send more than fits into the room, or try to where there is none.

        Return the number of bytes sent.
        """


class Fault(abc.ABC):
    """One kind of fault. Stateless: one object serves every trial.

    ``name``         its name for ``--fault`` and in the history.
    ``done``         what is done, in a sentence of the documentation.
    ``effect``       its general effect on a process; the advice depends on it.
    ``causes``       by target, the loss cause that a backend would have to declare.
    ``abrupt``       there is no warning, so nothing can be put in order.
    ``on_the_line``  it strikes the connections, so a proxy must be put in front of the broker.
    ``harms_broker`` with the target ``broker``, it changes the server itself.
    """

    name: ClassVar[str]
    done: ClassVar[str]
    effect: ClassVar[Effect]
    causes: ClassVar[Mapping[Target, LossCause]]
    abrupt: ClassVar[bool] = False
    on_the_line: ClassVar[bool] = False
    harms_broker: ClassVar[bool] = True
    moments: ClassVar[Mapping[Moment, str]] = {}
    """The moments at which it makes no sense, with the reason in one line."""

    def refusal(self, target: Target, kind: Kind) -> str:
        """Return why it does not apply to this target of such a channel, in one line; empty where it does."""
        return ""

    def excuses(self, target: Target, guarantees: Guarantees) -> LossCause | None:
        """Return the loss cause that it counts as; None where every confirmed message must be delivered."""
        return self.causes.get(target)

    @abc.abstractmethod
    def strike(self, scene: Scene) -> bool:
        """Inject the fault, heal it, and return whether it certainly took effect.

        Call ``scene.takes_effect()`` as soon as it is in force.
        """
