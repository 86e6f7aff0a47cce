"""Finds, starts, controls and ends the servers of a run.

::

    with acquire(["redis", "rabbitmq"], on_event=print) as fleet:
        fleet.brokers["redis"].url

``up()``, ``down()`` and ``status()`` are for servers that outlive one run.
"""

from ipclab.brokers.base import PROVIDERS, Broker, ProviderName, Usage, mask
from ipclab.brokers.fleet import Fleet, acquire, up
from ipclab.brokers.inventory import Status, down, status
from ipclab.brokers.kinds.registry import BUILT_IN as KINDS
from ipclab.brokers.kinds.registry import names as kind_names

__all__ = [
    "KINDS",
    "PROVIDERS",
    "Broker",
    "Fleet",
    "ProviderName",
    "Status",
    "Usage",
    "acquire",
    "down",
    "kind_names",
    "mask",
    "status",
    "up",
]
