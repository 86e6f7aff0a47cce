"""Which faults a channel can suffer, and why not the others. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class, channel_names
from ipclab.faults.spec import FaultSpec
from ipclab.trial.spec import TrialSpec


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault needs to know of a channel: whether it lives on a broker, or in a server process of the
    backend's own (``helper``), or in the pipes of the processes alone; and whether its producers are answered
    (``confirms``)."""

    broker: bool
    helper: bool
    confirms: bool = True


def kind_of(backend: Variant) -> Kind:
    """What a fault needs to know of this channel. Raises UnknownNameError and its kin where there is none."""
    channel = channel_class(backend)
    declared = channel(Site(namespace="ipclab:kind"), **backend.options).guarantees
    return Kind(
        broker=channel.broker is not None,
        helper=channel.has_server,
        confirms=declared.confirm == "broker",
    )


def reason(fault: FaultSpec, kind: Kind) -> str:
    """Why this fault does not apply to such a channel, in one line; empty where it does."""
    return _of_target(fault, kind) or _of_action(fault, kind) or _of_moment(fault)


def why_not(spec: TrialSpec) -> str:
    """The same for a trial; empty too where it has no fault, or its backend is not installed here."""
    if spec.fault is None or spec.backend.name not in channel_names():
        return ""
    return reason(spec.fault, kind_of(spec.backend))


def _of_target(fault: FaultSpec, kind: Kind) -> str:
    if fault.target == "broker" and not (kind.broker or kind.helper):
        return "there is no broker: the messages are in a pipe of the kernel's"
    return ""


def _of_action(fault: FaultSpec, kind: Kind) -> str:
    if fault.action == "restart":
        if fault.target != "broker":
            return "a worker that is started again is a new process: see kill"
        if not kind.broker:
            return "the server process of a Manager cannot be started again under its old address"
    if fault.action in ("cut", "drop-reply") and not kind.broker:
        return "there is no network connection: nothing can be cut or dropped on the way"
    if fault.action == "drop-reply" and fault.target == "broker":
        return "a reply is dropped for the one who asked: see producer and consumer"
    if fault.action == "drop-reply" and fault.target == "producer" and not kind.confirms:
        return "the broker does not answer its producers, so there is no reply to drop"
    if fault.action == "fill-memory":
        if fault.target != "broker":
            return "the memory that messages fill is the broker's"
        if not kind.broker:
            return "it has no limit of its own: it grows until the machine's memory is used up"
    return ""


def _of_moment(fault: FaultSpec) -> str:
    if fault.action == "drop-reply" and fault.moment not in ("busy", "working"):
        return "a reply can be dropped only where one is on its way: see busy"
    if fault.action == "fill-memory" and fault.moment not in ("busy", "working"):
        return "memory is filled by messages that flow: see busy"
    return ""
