"""``cut``: the bytes on the connections are swallowed for a while, then the connections are reset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from ipclab.backends.base import Guarantees, LossCause
from ipclab.faults.base import FAULT_S, Fault, InForce, Kind, Scene, Victim
from ipclab.faults.proxy.handle import Proxy
from ipclab.faults.words import Target
from ipclab.history.log import FaultLog
from ipclab.host.interruptions import ending_blocked


def lost_connection(target: Target, guarantees: Guarantees) -> LossCause | None:
    """Return the loss cause of a lost connection; None where every confirmed message must be delivered.

    A backend declares that it loses by a lost connection without saying whose. A message that its server has
    confirmed cannot be lost by a producer's connection, and a redelivered one not by a consumer's.
    """
    if target == "producer" and guarantees.confirm == "broker":
        return None
    if target == "consumer" and guarantees.delivery == "at-least-once":
        return None
    return "connection loss"


class Cut(Fault):
    """No process has to wait minutes for a time-out to notice, and messages in flight are still lost."""

    name = "cut"
    done = (
        f"for {FAULT_S:g} s what goes over the connections is swallowed, then they are reset; new ones pass"
    )
    effect = "cuts"
    causes: ClassVar[Mapping[Target, LossCause]] = dict.fromkeys(
        ("producer", "consumer", "broker"), "connection loss"
    )
    on_the_line = True
    harms_broker = False

    def refusal(self, target: Target, kind: Kind) -> str:
        return (
            "" if kind.broker else "there is no network connection: nothing can be cut or dropped on the way"
        )

    def excuses(self, target: Target, guarantees: Guarantees) -> LossCause | None:
        return lost_connection(target, guarantees)

    def strike(self, scene: Scene) -> bool:
        who = "broker" if scene.victim is None else scene.victim.name
        with swallowed(scene.log, scene.proxy, who, scene.on_line) as in_force:
            scene.takes_effect()
            struck = in_force()
            scene.pass_time(FAULT_S)
        return struck


@contextlib.contextmanager
def swallowed(log: FaultLog, proxy: Proxy, who: str, victims: Sequence[Victim]) -> Iterator[InForce]:
    """Swallow all bytes on the proxy's connections within the block; then reset them and let new ones pass.

    The fault is in force where each of ``victims`` has a connection to the proxy.
    """
    log.begin("cut", who)
    try:
        proxy.swallow()
        yield lambda: all(is_connected(victim.pid, proxy.port) for victim in victims)
    finally:
        with ending_blocked():
            proxy.reset_and_pass()
            log.end("cut", who)


def is_connected(pid: int, port: int) -> bool:
    """Return whether this process has an open connection to this port of this host."""
    import psutil

    try:
        links = psutil.Process(pid).net_connections("tcp4")
    except psutil.NoSuchProcess:
        return False
    return any(
        link.status == psutil.CONN_ESTABLISHED and link.raddr and link.raddr.port == port for link in links
    )


FAULT = Cut()
