"""Which faults a channel can suffer, and the reasons why not the others. Pure functions."""

from __future__ import annotations

from ipclab.backends.declared import guarantees_of
from ipclab.backends.registry import Variant, channel_class, is_known
from ipclab.faults.base import Kind
from ipclab.faults.spec import FaultSpec

LEAST_TORN_BYTES = 1 << 20
"""A smaller message goes through a pipe or a socket in one or two pieces, so no process is caught in it."""


def kind_of(backend: Variant) -> Kind:
    """Return the properties of this channel that matter to faults.

    Raise UnknownNameError or another UsageError where there is no such channel.
    """
    channel = channel_class(backend)
    declared = guarantees_of(channel, backend.options)
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
        return "there is no broker: the channel has no process of its own"
    return (
        spec.fault.refusal(spec.target, kind)
        or spec.fault.moments.get(spec.moment, "")
        or (kind.impossible or {}).get(spec.moment, "")
    )


def why_not(spec: FaultSpec | None, backend: Variant) -> str:
    """Return why a trial's fault does not apply; empty without a fault or an installed backend."""
    if spec is None or not is_known("channel", backend.name):
        return ""
    return reason(spec, kind_of(backend))
