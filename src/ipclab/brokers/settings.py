"""Settings of a server for one trial: applied within a block, kept across a restart, restored afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from ipclab.brokers import kinds
from ipclab.brokers.base import Broker
from ipclab.errors import UsageError


@contextlib.contextmanager
def applied(broker: Broker, settings: Mapping[str, str]) -> Iterator[None]:
    """Apply these settings to a server within the block, and restore the old ones afterwards.

    They persist when the server is killed or shut down, and started again, within the block; a server that is
    down at the end is started. Keys are left alone. Without settings nothing is done, on any server.

    Raise UsageError for a server that is not ours, for a kind without settings, and for a value that the
    server refuses; UnknownNameError for a setting that the kind does not know; BrokerUnavailableError where
    the server does not answer. Do not use two blocks at a time on one server.
    """
    if not settings:
        yield
        return
    kind = kinds.get(broker.kind)
    if not broker.ours:
        raise UsageError(
            f"{kind.title} at {broker.masked_url} was not started by the lab, so its settings are left "
            f"alone; {broker.to_control_it} for {', '.join(settings)}"
        )
    kind.check_settings(settings)
    with kind.applied(broker, settings):
        yield


def changed(broker: Broker) -> str:
    """Return the settings that differ from those at the start, such as ``appendonly=yes``; empty for none.

    Raise BrokerUnavailableError where the server does not answer.
    """
    return kinds.get(broker.kind).changed(broker)
