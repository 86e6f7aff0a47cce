"""Which faults a channel can suffer, and why not the others. Pure."""

from __future__ import annotations

from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class, channel_names
from ipclab.faults.base import Kind
from ipclab.faults.spec import FaultSpec

LEAST_TORN_BYTES = 1 << 20
"""Below this a message goes through a pipe or a socket in one piece or two, and nobody is caught in it."""


def kind_of(backend: Variant) -> Kind:
    """Return what a fault needs to know of this channel.

    Raises UnknownNameError and its kin where there is none.
    """
    channel = channel_class(backend)
    made = channel(Site(namespace="ipclab:kind"), **backend.options)
    declared = made.guarantees
    impossible = dict(channel.impossible_moments)
    largest = declared.max_message_bytes
    if channel.broker is None and largest is not None and largest < LEAST_TORN_BYTES:
        impossible.setdefault("mid-message", f"{largest} bytes at most are too few to be caught half-way")
    return Kind(
        broker=channel.broker is not None,
        helper=channel.has_server,
        confirms=declared.confirm == "broker",
        impossible=impossible,
    )


def reason(spec: FaultSpec, kind: Kind) -> str:
    """Return why this fault does not apply to such a channel, in one line; empty where it does."""
    if spec.target == "broker" and not (kind.broker or kind.helper):
        return "there is no broker: the messages are in a pipe of the kernel's"
    return (
        spec.fault.refusal(spec.target, kind)
        or spec.fault.moments.get(spec.moment, "")
        or (kind.impossible or {}).get(spec.moment, "")
    )


def why_not(spec: FaultSpec | None, backend: Variant) -> str:
    """Return the same for a trial; empty too where it has no fault, or its backend is not installed here."""
    if spec is None or backend.name not in channel_names():
        return ""
    return reason(spec, kind_of(backend))
