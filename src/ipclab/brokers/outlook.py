"""Where a broker would come from if a run needed it now. Starts nothing."""

from __future__ import annotations

from ipclab.backends.base import BrokerKind
from ipclab.brokers import engine, install, plans, url
from ipclab.errors import BrokerUnavailableError, UsageError


def outlook(kind: BrokerKind) -> str:
    """One line: the provider that a run would use, or what is missing."""
    try:
        broker = url.connect(kind)
    except (BrokerUnavailableError, UsageError) as error:
        return f"no: {error}"
    if broker is not None:
        return f"yes, url: {broker.masked_url} ({broker.version})"
    try:
        engine.find()
    except BrokerUnavailableError as error:
        no_engine = str(error)
    else:
        return "yes, compose: a container"
    if (program := plans.find_program(kind)) is not None:
        return f"yes, native: {program}"
    if install.is_possible(asked=None):
        return f"yes, native: a run installs it ({install.command([kind])})"
    return f"no: {no_engine}; {install.command([kind])} would do"
