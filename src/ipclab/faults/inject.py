"""What each fault does, to a worker, to a broker or to its connections, and how it is healed.

Every fault is entered into the history with its interval. What was stopped goes on and what was cut is joined
again whatever happens: these are context managers, whose end no signal interrupts. They yield a function
that tells by the state of the system, not by the fault's consequences, whether it is in force: a fault that
did not take effect shows nothing. Only brokers that the lab started may be harmed; the methods of ``Broker``
refuse others with UsageError.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psutil

from ipclab.backends.base import Guarantees, LossCause
from ipclab.brokers.base import Broker
from ipclab.brokers.pressure import squeezed
from ipclab.faults.proxy.handle import Proxy
from ipclab.faults.spec import Action, FaultSpec, Target
from ipclab.history.log import FaultLog
from ipclab.host import stillness
from ipclab.host.interruptions import ending_blocked
from ipclab.trial.processes import Worker

CAUSES: dict[tuple[Action, Target], LossCause] = {
    ("kill", "producer"): "producer crash",
    ("kill", "consumer"): "consumer crash",
    ("kill", "broker"): "broker crash",
    ("restart", "broker"): "broker crash",
    ("cut", "producer"): "connection loss",
    ("cut", "consumer"): "connection loss",
    ("cut", "broker"): "connection loss",
    ("drop-reply", "producer"): "connection loss",
    ("drop-reply", "consumer"): "connection loss",
    ("fill-memory", "broker"): "overload",
    ("pause", "producer"): "overload",
    ("pause", "consumer"): "overload",
    ("pause", "broker"): "overload",
}
"""By action and target, the cause of loss that a backend would have to declare. Whoever is paused does not
keep up, and nothing else is the matter with it."""


def cause(fault: FaultSpec, guarantees: Guarantees) -> LossCause | None:
    """What the fault counts as; None where the backend owes every confirmed message in spite of it.

    A backend declares that it loses by a lost connection without saying whose. What its server has confirmed
    cannot be lost by the connection of a producer, nor what is delivered again by that of a consumer.
    """
    if fault.action in ("cut", "drop-reply"):
        if fault.target == "producer" and guarantees.confirm == "broker":
            return None
        if fault.target == "consumer" and guarantees.delivery == "at-least-once":
            return None
    return CAUSES.get((fault.action, fault.target))


InForce = Callable[[], bool]
"""Whether the fault has surely taken effect, and still lasts; may take a moment to tell."""
_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Server:
    """What the messages are kept in: a broker, or server processes of the backend's own."""

    broker: Broker | None
    pids: Sequence[int]

    def processes(self) -> tuple[int, ...]:
        """Those of its processes that can be looked at from here; none of a container's."""
        if self.broker is None:
            return tuple(self.pids)
        kind, _, number = self.broker.where.partition(" ")
        return (int(number),) if kind == "pid" else ()

    def is_frozen(self) -> bool:
        """Whether it surely stands still. A container's engine sees to that before ``stop()`` returns."""
        return stillness.all_stopped(self.processes())

    def has_ended(self) -> bool:
        """Whether it surely runs no more; waits for that for a moment."""
        if self.broker is None:
            return stillness.all_gone(self.pids)
        deadline = time.monotonic() + stillness.STATE_WITHIN_S
        while self.broker.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def kill(self) -> None:
        """End it at once; a broker is started again by ``restart``."""
        if self.broker is not None:
            self.broker.kill()
        else:
            for pid in self.pids:
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Freeze it."""
        if self.broker is not None:
            self.broker.pause()
        else:
            for pid in self.pids:
                os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        if self.broker is not None:
            self.broker.resume()
        else:
            for pid in self.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


def kill_worker(log: FaultLog, victim: Worker) -> bool:
    """End a worker by SIGKILL; returns when it is gone. False where something else had ended it before."""
    log.moment("kill", victim.name)
    victim.process.kill()
    victim.process.join()
    return victim.process.exitcode == -signal.SIGKILL


@contextlib.contextmanager
def paused_worker(log: FaultLog, victim: Worker) -> Iterator[InForce]:
    """Stop a worker (SIGSTOP), and let it go on at the end."""
    log.begin("pause", victim.name)
    try:
        os.kill(victim.pid, signal.SIGSTOP)
        yield lambda: stillness.all_stopped([victim.pid])
    finally:
        with ending_blocked():
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGCONT)
            log.end("pause", victim.name)


@contextlib.contextmanager
def paused_server(log: FaultLog, server: Server) -> Iterator[InForce]:
    """Freeze the server, and let it go on at the end."""
    log.begin("pause", "broker")
    try:
        server.stop()
        yield server.is_frozen
    finally:
        with ending_blocked():
            server.go_on()
            log.end("pause", "broker")


@contextlib.contextmanager
def killed_server(log: FaultLog, server: Server) -> Iterator[InForce]:
    """Kill the server, and start it again at the end where that can be."""
    log.begin("kill", "broker")
    try:
        server.kill()
        yield server.has_ended
    finally:
        if server.broker is not None:
            with ending_blocked():
                server.broker.restart()
                log.end("kill", "broker")


@contextlib.contextmanager
def restarted_server(log: FaultLog, server: Server) -> Iterator[InForce]:
    """End the broker in good order, and start it again at the end."""
    assert server.broker is not None
    log.begin("restart", "broker")
    try:
        server.broker.shut_down()
        yield server.has_ended
    finally:
        with ending_blocked():
            server.broker.restart()
            log.end("restart", "broker")


@contextlib.contextmanager
def cut(log: FaultLog, proxy: Proxy, who: str, victims: Sequence[Worker]) -> Iterator[InForce]:
    """Swallow what goes over the proxy's connections; at the end they are reset, and new ones pass.

    So nobody has to wait for a time-out of minutes to notice, and what was under way is lost all the same. It
    is in force where each of ``victims`` has a connection to the proxy.
    """
    log.begin("cut", who)
    try:
        proxy.swallow()
        yield lambda: all(_is_connected(victim.pid, proxy.port) for victim in victims)
    finally:
        with ending_blocked():
            proxy.reset_and_pass()
            log.end("cut", who)


def _is_connected(pid: int, port: int) -> bool:
    """Whether this process has an open connection to this port of our own host."""
    try:
        links = psutil.Process(pid).net_connections("tcp4")
    except psutil.NoSuchProcess:
        return False
    return any(
        link.status == psutil.CONN_ESTABLISHED and link.raddr and link.raddr.port == port for link in links
    )


@contextlib.contextmanager
def full_memory(log: FaultLog, broker: Broker) -> Iterator[int | None]:
    """Leave the broker little memory; yields how many bytes, None where it takes no more at all."""
    log.begin("fill-memory", "broker")
    try:
        with squeezed(broker) as squeeze:
            yield squeeze.room_bytes
    finally:
        log.end("fill-memory", "broker")
