"""``fill-memory``: the broker gets more messages than its memory holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import ClassVar

from ipclab.backends.base import LossCause
from ipclab.brokers.base import Broker
from ipclab.faults.base import Fault, Kind, Scene
from ipclab.faults.words import Moment, Target
from ipclab.history.log import FaultLog

_NO_FLOW = "memory is filled by messages that flow: see busy"


class FillMemory(Fault):
    """The consumers stand still meanwhile, as slow ones would, so that the messages stay in the broker."""

    name = "fill-memory"
    done = (
        "while the consumers stand still, more is sent than the broker has room for (Redis: 1 MiB above what "
        "it uses; RabbitMQ: a memory alarm; memcached: its 64 MiB)"
    )
    effect = "fills"
    causes: ClassVar[Mapping[Target, LossCause]] = {"broker": "overload"}
    moments: ClassVar[Mapping[Moment, str]] = {"idle": _NO_FLOW, "mid-message": _NO_FLOW}

    def refusal(self, target: Target, kind: Kind) -> str:
        if target != "broker":
            return "the memory that messages fill is the broker's"
        if not kind.broker:
            return "it has no limit of its own: it grows until the machine's memory is used up"
        return ""

    def strike(self, scene: Scene) -> bool:
        """Fill the memory. Return whether more was sent than fits, or an alarm says that there is no room."""
        broker = scene.server.broker
        assert broker is not None
        with scene.consumers_stand_still(), full_memory(scene.log, broker) as room_bytes:
            scene.takes_effect()
            sent_bytes = scene.fill(room_bytes)
        return room_bytes is None or sent_bytes > room_bytes


@contextlib.contextmanager
def full_memory(log: FaultLog, broker: Broker) -> Iterator[int | None]:
    """Leave the broker little memory; yield the bytes left, None where it accepts nothing at all."""
    from ipclab.brokers.pressure import squeezed

    log.begin("fill-memory", "broker")
    try:
        with squeezed(broker) as squeeze:
            yield squeeze.room_bytes
    finally:
        log.end("fill-memory", "broker")


FAULT = FillMemory()
