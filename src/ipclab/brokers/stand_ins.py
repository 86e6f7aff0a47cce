"""Which kind of server stands in for another: ``--server redis=valkey`` runs the Redis backends on a Valkey.

The choice is in the environment, so that every process of a run has it, and those of ``ipclab gate`` too.
"""

from __future__ import annotations

import os

from ipclab.backends.base import BrokerKind
from ipclab.brokers import kinds
from ipclab.errors import UnknownNameError, UsageError

VARIABLE = "IPCLAB_SERVERS"


def parse(text: str) -> dict[BrokerKind, BrokerKind]:
    """Return the choices in ``redis=valkey,…``: by the kind that backends ask for, the kind that serves it.

    Raise UnknownNameError for a name that is no kind, UsageError for a server that does not speak the
    protocol of the kind that it should stand in for.
    """
    found: dict[BrokerKind, BrokerKind] = {}
    for choice in filter(None, text.replace(" ", "").split(",")):
        kind, equals, server = choice.partition("=")
        for name in (kind, server) if equals else (kind,):
            if name not in kinds.names():
                raise UnknownNameError("kind of server", name, kinds.names())
        if not equals:
            raise UsageError(f"{choice!r} is no choice of a server; write it like redis=valkey")
        if server != kind and kinds.get(server).speaks != kind:
            raise UsageError(
                f"{kinds.get(server).title} does not speak the protocol of {kinds.get(kind).title}; "
                f"{_offer(kind)}"
            )
        found[kind] = server
    return found


def chosen() -> dict[BrokerKind, BrokerKind]:
    """Return the choices that ``IPCLAB_SERVERS`` has. Raise what ``parse()`` raises."""
    return parse(os.environ.get(VARIABLE, ""))


def speakers(kind: BrokerKind) -> list[BrokerKind]:
    """Return the kinds that can stand in for this one."""
    return [name for name in kinds.OWN if kinds.get(name).speaks == kind]


def _offer(kind: BrokerKind) -> str:
    others = speakers(kind)
    return f"these do: {', '.join(others)}" if others else "no other kind does"
