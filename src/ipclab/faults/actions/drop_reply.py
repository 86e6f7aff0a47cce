"""``drop-reply``: a request reaches the broker, its reply is dropped and the connection reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ipclab.backends.base import Guarantees, LossCause
from ipclab.faults.actions.cut import lost_connection
from ipclab.faults.base import EFFECT_WITHIN_S, Fault, Kind, Scene
from ipclab.faults.words import Moment, Target

_NO_REPLY = "a reply can be dropped only where one is on its way: see busy"


class DropReply(Fault):
    """The broker executed the request, and the process that sent it does not know."""

    name = "drop-reply"
    done = (
        "one reply of the broker is dropped and the connection reset: the request was carried out, and "
        "nobody knows"
    )
    effect = "cuts"
    causes: ClassVar[Mapping[Target, LossCause]] = {
        "producer": "connection loss",
        "consumer": "connection loss",
    }
    on_the_line = True
    harms_broker = False
    moments: ClassVar[Mapping[Moment, str]] = {"idle": _NO_REPLY, "mid-message": _NO_REPLY}

    def refusal(self, target: Target, kind: Kind) -> str:
        if not kind.broker:
            return "there is no network connection: nothing can be cut or dropped on the way"
        if target == "broker":
            return "a reply is dropped for the one who asked: see producer and consumer"
        if target == "producer" and not kind.confirms:
            return "the broker does not answer its producers, so there is no reply to drop"
        return ""

    def excuses(self, target: Target, guarantees: Guarantees) -> LossCause | None:
        return lost_connection(target, guarantees)

    def strike(self, scene: Scene) -> bool:
        victim, proxy = scene.victim, scene.proxy
        assert victim is not None
        scene.log.begin("drop-reply", victim.name)
        if scene.target == "producer":
            proxy.drop_reply()
        else:
            proxy.drop_delivery()
        if scene.moment == "working":
            # The next reply answers the next request: the acknowledgement, or the message after it.
            scene.let_work()
        dropped = scene.wait(lambda: proxy.dropped(0.0), EFFECT_WITHIN_S)
        scene.takes_effect()
        scene.log.end("drop-reply", victim.name)
        return dropped


FAULT = DropReply()
