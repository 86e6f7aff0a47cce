"""``kill``: SIGKILL, then a new process, or the restarted broker, in its place."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from typing import ClassVar

from ipclab.backends.base import LossCause
from ipclab.faults.base import Fault, InForce, Scene, Victim
from ipclab.faults.server import Server
from ipclab.faults.words import Target
from ipclab.history.log import FaultLog
from ipclab.host.interruptions import ending_blocked


class Kill(Fault):
    """There is no warning: what the process held in memory, or had in progress, is lost or torn."""

    name = "kill"
    done = "SIGKILL. Another process takes a worker's place; a broker is started again on its data"
    effect = "ends"
    causes: ClassVar[Mapping[Target, LossCause]] = {
        "producer": "producer crash",
        "consumer": "consumer crash",
        "broker": "broker crash",
    }
    abrupt = True

    def strike(self, scene: Scene) -> bool:
        victim = scene.victim
        if victim is None:
            with killed_server(scene.log, scene.server) as in_force:
                scene.takes_effect()
                return in_force()
        killed = kill_worker(scene.log, victim)
        scene.takes_effect()
        scene.replace(victim)
        return killed


def kill_worker(log: FaultLog, victim: Victim) -> bool:
    """End a worker by SIGKILL, and wait until it is gone. Return False where it had already ended."""
    log.moment("kill", victim.name)
    victim.child.kill()
    return victim.child.exit_code == -signal.SIGKILL


@contextlib.contextmanager
def killed_server(log: FaultLog, server: Server) -> Iterator[InForce]:
    """Kill the server, and start it again at the end where that is possible."""
    log.begin("kill", "broker")
    try:
        server.kill()
        yield server.has_ended
    finally:
        if server.broker is not None:
            with ending_blocked():
                server.broker.restart()
                log.end("kill", "broker")


FAULT = Kill()
