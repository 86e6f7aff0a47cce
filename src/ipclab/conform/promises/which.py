"""Which modes and counters make a promise. Pure functions of what they declare."""

from __future__ import annotations

from ipclab.backends.base import Counter
from ipclab.backends.registry import Variant, is_own
from ipclab.brokers import KINDS
from ipclab.conform import modes, observers
from ipclab.conform.modes import Mode

MOST_WORTH_TRYING_BYTES = 16 * 1024 * 1024


def every(_: object) -> bool:
    """Return True: all of them."""
    return True


def object_carrying(mode: Mode) -> bool:
    """Return whether the channel takes objects."""
    return bool(mode.channel.carries_objects)


def pickling_at_once(mode: Mode) -> bool:
    """Return whether the channel takes objects, and has pickled one when ``send()`` returns."""
    return mode.channel.carries_objects == "at once"


def served(mode: Mode) -> bool:
    """Return whether the channel is on a server."""
    return mode.channel.broker is not None


def listed(mode: Mode) -> bool:
    """Return whether the names on its server can be listed."""
    channel = mode.channel
    return channel.broker is not None and channel.has_names and observers.can_list(channel.broker)


def queueing(mode: Mode) -> bool:
    """Return whether each message goes to one consumer."""
    return not mode.guarantees.fan_out and mode.guarantees.safe


def fan_out(mode: Mode) -> bool:
    """Return whether each message goes to every consumer."""
    return mode.guarantees.fan_out


def ordered(mode: Mode) -> bool:
    """Return whether the order of each producer is declared."""
    return mode.guarantees.order == "per-producer" and mode.guarantees.safe


def at_least_once(mode: Mode) -> bool:
    """Return whether delivery is at least once."""
    return mode.guarantees.delivery == "at-least-once"


def forgetting(mode: Mode) -> bool:
    """Return whether delivery is at least once, and an acknowledged message is not delivered again.

    A consumer of a log that keeps its own offset may read everything again.
    """
    return at_least_once(mode) and mode.guarantees.log_offset != "consumer"


def shared_at_most_once(mode: Mode) -> bool:
    """Return whether delivery is at most once, to one of several consumers."""
    alone = mode.channel.max_consumers == 1 or not mode.guarantees.safe
    return mode.guarantees.delivery == "at-most-once" and not alone


def producer_proof(mode: Mode) -> bool:
    """Return whether a confirmed message outlives its producer."""
    return "producer crash" not in mode.guarantees.may_lose or mode.guarantees.confirm == "broker"


def handing_over(mode: Mode) -> bool:
    """Return whether a producer that closes hands over what it has.

    A mode that only writes and may lose at overload declares that a producer needs a confirm before it may
    leave, and gives none.
    """
    return mode.guarantees.confirm != "written" or "overload" not in mode.guarantees.may_lose


def served_confirming(mode: Mode) -> bool:
    """Return whether its server confirms."""
    return mode.guarantees.confirm == "broker" and mode.channel.broker is not None


def refusable(mode: Mode) -> bool:
    """Return whether its server can be made to refuse a message.

    Nobody refuses to publish: a server answers with how many there were to hear it.
    """
    return (
        mode.guarantees.confirm == "broker"
        and mode.channel.broker is not None
        and not mode.guarantees.fan_out
        and mode.channel.broker in KINDS
    )


def helped(mode: Mode) -> bool:
    """Return whether a helper process of its own confirms."""
    return (
        mode.guarantees.confirm == "broker"
        and "broker crash" in mode.guarantees.may_lose
        and mode.channel.broker is None
    )


def durable(mode: Mode) -> bool:
    """Return whether confirmed messages survive the kill of its server while no consumer has them.

    One that is delivered at least once may lose a message at a broker crash only where the server itself
    loses it, as with a log that is written later.
    """
    declared = mode.guarantees
    own_loss = declared.delivery == "at-least-once" and "broker crash" in declared.may_lose
    return declared.durability != "none" and not own_loss and mode.channel.broker is not None


def limited(mode: Mode) -> bool:
    """Return whether it declares a largest size that is small enough to be tried."""
    return (mode.guarantees.max_message_bytes or 1 << 62) <= MOST_WORTH_TRYING_BYTES


def _made(variant: Variant) -> Counter:
    return modes.counter(variant)


def safe(variant: Variant) -> bool:
    """Return whether the discipline declares itself safe."""
    return _made(variant).safe


def safe_unowned(variant: Variant) -> bool:
    """Return whether it is safe and has no owner.

    A client of an owner talks to it over primitives that its death may leave locked.
    """
    return _made(variant).safe and not _made(variant).has_owner


def served_counter(variant: Variant) -> bool:
    """Return whether the counter is on a server."""
    return _made(variant).broker is not None


def gated(variant: Variant) -> bool:
    """Return whether it is an unsafe one of the lab, whose clients can be held."""
    return not _made(variant).safe and is_own(variant.name)


def foreign_unsafe(variant: Variant) -> bool:
    """Return whether it is an unsafe one of another package or of a user."""
    return not _made(variant).safe and not is_own(variant.name)


def comparing(variant: Variant) -> bool:
    """Return whether it is one of the lab's that compares before it writes."""
    made = _made(variant)
    return (made.name, made.discipline) in {("redis", "watch"), ("memcached", "cas")}


def owned(variant: Variant) -> bool:
    """Return whether a process of its own owns the number."""
    return _made(variant).has_owner
