"""Settings of a server for one trial: in force within a block, kept over a restart, undone afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from ipclab.brokers import kinds
from ipclab.brokers.base import Broker
from ipclab.errors import UsageError


@contextlib.contextmanager
def applied(broker: Broker, settings: Mapping[str, str]) -> Iterator[None]:
    """Set a server to this within the block, and afterwards to what it was before.

    It stays so when the server is killed or shut down, and started again, within the block; one that is down
    at the end is started. Keys are left alone. No settings: nothing is done, to any server.

    Raises UsageError for a server that is not ours, for a kind without settings, and for a value that the
    server refuses; UnknownNameError for a setting that the kind does not know; BrokerUnavailableError where
    the server does not answer. Not for two blocks at a time on one server.
    """
    if not settings:
        yield
        return
    kind = kinds.get(broker.kind)
    if not broker.ours:
        raise UsageError(
            f"{kind.title} at {broker.masked_url} was not started by the lab, so its settings are left "
            f"alone; choose --provider compose or native for {', '.join(settings)}"
        )
    kind.check_settings(settings)
    with kind.applied(broker, settings):
        yield


def changed(broker: Broker) -> str:
    """Return what this server is set to that it was not started with, ``appendonly=yes``; empty for nothing.

    Raises BrokerUnavailableError where it does not answer.
    """
    return kinds.get(broker.kind).changed(broker)
