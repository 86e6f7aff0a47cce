"""``terminate``: SIGTERM, which a worker handles like a program that closes what it has open."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import ClassVar

from ipclab.backends.base import LossCause
from ipclab.faults.base import EFFECT_WITHIN_S, Fault, Kind, Scene, Victim
from ipclab.faults.words import Target
from ipclab.history.log import FaultLog


class Terminate(Fault):
    """The process is told to end: its handler raises SystemExit, locks are released and its end is closed."""

    name = "terminate"
    done = (
        "SIGTERM, as a supervisor sends it: the worker's handler raises `SystemExit` wherever it is, so that "
        "locks are released and its end of the channel is closed. Another process takes its place"
    )
    effect = "ends"
    causes: ClassVar[Mapping[Target, LossCause]] = {
        "producer": "producer crash",
        "consumer": "consumer crash",
        "broker": "broker crash",
    }

    def refusal(self, target: Target, kind: Kind) -> str:
        if target == "broker" and kind.broker:
            return "a broker that is told to end does so in good order: see restart"
        return ""

    def strike(self, scene: Scene) -> bool:
        victim = scene.victim
        if victim is None:
            scene.log.moment("terminate", "broker")
            scene.server.terminate()
            scene.takes_effect()
            return scene.server.has_ended()
        was_alive = ask_to_end(scene.log, victim)
        # A process that is stopped in the middle of a message cannot answer before it is resumed.
        scene.takes_effect()
        if scene.wait(lambda: not victim.child.alive, EFFECT_WITHIN_S):
            scene.replace(victim)
        # A process that does not end hangs in its handler or in close(), which the trial finds out.
        return was_alive


def ask_to_end(log: FaultLog, victim: Victim) -> bool:
    """Send a worker SIGTERM. Return False where it was gone."""
    log.moment("terminate", victim.name)
    alive = victim.child.alive
    victim.child.signal(signal.SIGTERM)
    return alive


FAULT = Terminate()
