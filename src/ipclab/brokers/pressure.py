"""Memory exhaustion: leaves a server little or no memory within a block."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ipclab.brokers import kinds
from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import Squeeze
from ipclab.errors import UsageError


def squeezed(broker: Broker) -> AbstractContextManager[Squeeze]:
    """Leave a server little memory within the block, and restore its limit afterwards.

    A server that is killed within the block and started again is not short of memory any more. One that is
    paused or down at the end is resumed or started. Raise UsageError for a server that is not ours or of a
    kind that cannot be squeezed, BrokerUnavailableError where it does not answer.
    """
    kind = kinds.get(broker.kind)
    if not broker.ours:
        raise UsageError(
            f"{kind.title} at {broker.masked_url} was not started by the lab, so its memory is "
            f"left alone; {broker.to_control_it} to exhaust it"
        )
    return kind.squeezed(broker)
