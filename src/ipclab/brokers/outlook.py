"""Tells where a broker would come from if a run needed it now. Starts nothing."""

from __future__ import annotations

from ipclab.backends.base import BrokerKind
from ipclab.brokers import engine, install, kinds, services, url
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host import needs
from ipclab.host.text import clean


def describe(kind: BrokerKind) -> str:
    """Return one line: the provider that a run would use, or what is missing."""
    here, words = _look(kind)
    return f"yes, {words}" if here else f"no: {words}"


def is_here(kind: BrokerKind) -> bool:
    """Return whether a run would have this broker."""
    return _look(kind)[0]


@url.kept_from_children()
def _look(kind: BrokerKind) -> tuple[bool, str]:
    if lacks := needs.lacks():
        return False, lacks[0]
    try:
        of = kinds.get(kind)
        if lack := of.lacks():
            return False, lack
        broker = url.connect(kind)
    except (BrokerUnavailableError, UsageError) as error:
        return False, clean(str(error))
    if broker is not None:
        return True, f"url: {broker.masked_url} ({clean(broker.version)})"
    no_engine = "compose.yaml has no service for it"
    try:
        service = services.connect(kind)
    except BrokerUnavailableError as error:
        return False, clean(str(error))
    if service is not None:
        return True, f"compose: {service.masked_url} ({clean(service.version)}), {service.network}"
    if of.service is not None:
        try:
            engine.find()
        except BrokerUnavailableError as error:
            no_engine = clean(str(error))
        else:
            return True, "compose: a container"
    if (program := of.find_program()) is not None:
        return True, f"native: {program}"
    command = install.command([kind])
    if command and install.is_possible(asked=None):
        return True, f"native: a run installs it ({command})"
    return False, no_engine + (f"; install it: {command}" if command else "")
