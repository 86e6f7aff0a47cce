"""What a fault is: one object that says where it applies, and injects, confirms and heals.

Every fault enters itself into the history with its interval. What was stopped goes on and what was cut is
joined again whatever happens: faults use context managers, whose end no signal interrupts. Each tells by the
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
"""Whether the fault has surely taken effect, and still lasts; may take a moment to tell."""
FAULT_S = 1.2
"""How long a fault that is healed lasts: longer than it takes a stream's message to be claimed by another."""
EFFECT_WITHIN_S = 10.0
"""How long a fault may take until it is told that it did not take effect."""


CRASHES: Mapping[Target, LossCause] = {
    "producer": "producer crash",
    "consumer": "consumer crash",
    "broker": "broker crash",
}
"""What the end of each target counts as."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault needs to know of a channel.

    ``broker``      it lives on a broker; ``helper``: in a server process of the backend's own. Else it is in
                    the pipes of the processes alone.
    ``confirms``    its producers are answered.
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
        """As ``multiprocessing.Process.exitcode``."""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; does nothing where it is gone."""

    def wait_for_end(self, within_s: float) -> bool:
        """Wait until the process has ended, for so long at most; return whether it has."""

    def kill(self) -> None:
        """End it by SIGKILL, and wait until it is gone."""


class Victim(Protocol):
    """A worker that a fault strikes."""

    @property
    def name(self) -> str:
        """Return what the history calls it."""

    @property
    def role(self) -> str:
        """``producer`` or ``consumer``."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def child(self) -> Process:
        """Its process."""


class Scene(Protocol):
    """What a fault finds when it strikes, and what it may have the trial do meanwhile.

    ``victim``   the worker that it strikes; None where the target is the broker.
    ``on_line``  the workers whose connections to the broker it meets.
    """

    log: FaultLog
    server: Server
    target: Target
    moment: Moment
    victim: Victim | None
    on_line: Sequence[Victim]

    @property
    def proxy(self) -> Proxy:
        """Return the proxy before the broker; only for a fault that is ``on_the_line``."""

    def takes_effect(self) -> None:
        """Note the time, and let go what was held in the middle of a message."""

    def pass_time(self, seconds: float) -> None:
        """Let the trial go on for so long."""

    def wait(self, until: Callable[[], bool], within_s: float) -> bool:
        """Let the trial go on until the condition holds; return whether it did in time."""

    def replace(self, victim: Victim) -> None:
        """Put a new process into the place of a worker that the fault has ended."""

    def let_work(self) -> None:
        """Let the consumers that the lab holds acknowledge, and messages flow."""

    def consumers_stand_still(self) -> AbstractContextManager[object]:
        """Return what makes the consumers stand still, as slow ones would; no fault, so in no history."""

    def fill(self, room_bytes: int | None) -> int:
        """Have the producers send more than fits into the room, or try where there is none.

        Return how many bytes were sent.
        """


class Fault(abc.ABC):
    """One kind of fault. Stateless: one object serves every trial.

    ``name``         as ``--fault`` and the history have it.
    ``done``         what is done, in a sentence of the documentation.
    ``effect``       what it is to a process in general; advice is given by it.
    ``causes``       by target, the cause of loss that a backend would have to declare.
    ``abrupt``       nobody is warned, so that nothing can be put in order.
    ``on_the_line``  it strikes the connections, so that a proxy has to stand before the broker.
    ``harms_broker`` with the target ``broker``, it does something to the server itself.
    """

    name: ClassVar[str]
    done: ClassVar[str]
    effect: ClassVar[Effect]
    causes: ClassVar[Mapping[Target, LossCause]]
    abrupt: ClassVar[bool] = False
    on_the_line: ClassVar[bool] = False
    harms_broker: ClassVar[bool] = True
    moments: ClassVar[Mapping[Moment, str]] = {}
    """The moments at which it means nothing, with the reason in one line."""

    def refusal(self, target: Target, kind: Kind) -> str:
        """Return why it does not apply to this target of such a channel, in one line; empty where it does."""
        return ""

    def excuses(self, target: Target, guarantees: Guarantees) -> LossCause | None:
        """Return the cause of loss that it counts as; None where every confirmed message is owed."""
        return self.causes.get(target)

    @abc.abstractmethod
    def strike(self, scene: Scene) -> bool:
        """Inject the fault, heal it, and return whether it surely took effect.

        Calls ``scene.takes_effect()`` as soon as it is in force.
        """
