"""``pause``: SIGSTOP for a while, then SIGCONT; a container is paused by its engine."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from typing import ClassVar

from ipclab.backends.base import LossCause
from ipclab.faults.base import FAULT_S, Fault, InForce, Scene, Victim
from ipclab.faults.server import Server
from ipclab.faults.words import Target
from ipclab.history.log import FaultLog
from ipclab.host import stillness
from ipclab.host.interruptions import ending_blocked


class Pause(Fault):
    """The target does not keep up, and nothing else is wrong with it."""

    name = "pause"
    done = f"SIGSTOP for {FAULT_S:g} s, then SIGCONT; a container is paused by its engine"
    effect = "stops"
    causes: ClassVar[Mapping[Target, LossCause]] = {
        "producer": "overload",
        "consumer": "overload",
        "broker": "overload",
    }

    def strike(self, scene: Scene) -> bool:
        victim = scene.victim
        paused = (
            paused_server(scene.log, scene.server) if victim is None else paused_worker(scene.log, victim)
        )
        with paused as in_force:
            began = in_force()
            scene.takes_effect()
            scene.pass_time(FAULT_S)
            return began and in_force()


@contextlib.contextmanager
def paused_worker(log: FaultLog, victim: Victim) -> Iterator[InForce]:
    """Stop a worker (SIGSTOP), and resume it at the end."""
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
    """Freeze the server, and resume it at the end."""
    log.begin("pause", "broker")
    try:
        server.stop()
        yield server.is_frozen
    finally:
        with ending_blocked():
            server.go_on()
            log.end("pause", "broker")


FAULT = Pause()
