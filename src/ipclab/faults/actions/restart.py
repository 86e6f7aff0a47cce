"""``restart``: the broker is ended in good order and started again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import ClassVar

from ipclab.backends.base import LossCause
from ipclab.brokers.base import Broker
from ipclab.faults.base import Fault, InForce, Kind, Scene
from ipclab.faults.server import Server
from ipclab.faults.words import Target
from ipclab.history.log import FaultLog
from ipclab.host.interruptions import ending_blocked


class Restart(Fault):
    """Data that the broker keeps only in memory is still lost."""

    name = "restart"
    done = "the broker is ended in good order and started again"
    effect = "ends"
    causes: ClassVar[Mapping[Target, LossCause]] = {"broker": "broker crash"}

    def refusal(self, target: Target, kind: Kind) -> str:
        if target != "broker":
            return "a worker that is started again is a new process: see kill"
        if not kind.broker:
            return "the server process of a Manager cannot be started again under its old address"
        return ""

    def strike(self, scene: Scene) -> bool:
        broker = scene.server.broker
        assert broker is not None
        with restarted(scene.log, scene.server, broker) as in_force:
            scene.takes_effect()
            return in_force()


@contextlib.contextmanager
def restarted(log: FaultLog, server: Server, broker: Broker) -> Iterator[InForce]:
    """End the broker in good order, and start it again at the end."""
    log.begin("restart", "broker")
    try:
        broker.shut_down()
        yield server.has_ended
    finally:
        with ending_blocked():
            broker.restart()
            log.end("restart", "broker")


FAULT = Restart()
