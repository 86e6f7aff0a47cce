"""What each fault does, to a worker, to a broker or to its connections, and how it is healed.

Every fault is entered into the history with its interval. What was stopped goes on and what was cut is joined
again whatever happens: these are context managers. Only brokers that the lab started may be harmed; the
methods of ``Broker`` refuse others with UsageError.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ipclab.brokers.base import Broker
from ipclab.brokers.pressure import squeezed
from ipclab.history.log import FaultLog
from ipclab.trial.processes import Worker
from ipclab.trial.proxy import Proxy

CAUSES = {
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
}
"""By action and target, the cause of loss that a backend would have to declare. A pause excuses none."""

Wait = Callable[[float], None]
"""Lets time pass while the workers go on."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the messages are kept in: a broker, or server processes of the backend's own."""

    broker: Broker | None
    pids: Sequence[int]

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


def kill_worker(log: FaultLog, victim: Worker) -> None:
    """End a worker by SIGKILL; returns when it is gone."""
    log.moment("kill", victim.name)
    os.kill(victim.pid, signal.SIGKILL)
    victim.process.join()


@contextlib.contextmanager
def paused_worker(log: FaultLog, victim: Worker) -> Iterator[None]:
    """Stop a worker (SIGSTOP), and let it go on at the end."""
    log.begin("pause", victim.name)
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGCONT)
        log.end("pause", victim.name)


@contextlib.contextmanager
def paused_server(log: FaultLog, server: Server) -> Iterator[None]:
    """Freeze the server, and let it go on at the end."""
    log.begin("pause", "broker")
    server.stop()
    try:
        yield
    finally:
        server.go_on()
        log.end("pause", "broker")


def kill_server(log: FaultLog, server: Server, meanwhile: Callable[[], None]) -> None:
    """Kill the server, do something, and start it again where that can be."""
    log.begin("kill", "broker")
    server.kill()
    try:
        meanwhile()
    finally:
        if server.broker is not None:
            server.broker.restart()
            log.end("kill", "broker")


def restart_server(log: FaultLog, broker: Broker, meanwhile: Callable[[], None]) -> None:
    """End the broker in good order, do something, and start it again."""
    log.begin("restart", "broker")
    broker.shut_down()
    try:
        meanwhile()
    finally:
        broker.restart()
        log.end("restart", "broker")


@contextlib.contextmanager
def cut(log: FaultLog, proxy: Proxy, who: str) -> Iterator[None]:
    """Swallow what goes over the proxy's connections; at the end they are reset, and new ones pass.

    So nobody has to wait for a time-out of minutes to notice, and what was under way is lost all the same.
    """
    log.begin("cut", who)
    proxy.swallow()
    try:
        yield
    finally:
        proxy.reset_and_pass()
        log.end("cut", who)


@contextlib.contextmanager
def full_memory(log: FaultLog, broker: Broker) -> Iterator[int | None]:
    """Leave the broker little memory; yields how many bytes, None where it takes no more at all."""
    log.begin("fill-memory", "broker")
    try:
        with squeezed(broker) as squeeze:
            yield squeeze.room_bytes
    finally:
        log.end("fill-memory", "broker")
