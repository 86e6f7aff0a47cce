"""What is known of the machines of a run before anything is measured on them."""

from __future__ import annotations

import ipaddress
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ipclab.errors import UsageError
from ipclab.hosts import host as hosts
from ipclab.hosts.far_end import network_identity
from ipclab.hosts.host import Facts, Host, require_engine
from ipclab.trial.machines.crew import FIRST_S, Machines


def facts_of(machines: Machines) -> dict[int, Facts | str]:
    """Connect to every machine once; return what each says of itself, or why it cannot be reached.

    Raise UsageError where the engine is not installed.
    """
    require_engine()
    with tempfile.TemporaryDirectory(prefix="ipclab-hosts-") as name:
        found = [
            Host(number, address, "", Path(name), wheel=machines.wheel)
            for number, address in enumerate(machines.addresses, 1)
        ]
        try:
            deadline = time.monotonic() + FIRST_S
            while (left_s := deadline - time.monotonic()) > 0 and (
                waiting := [one for one in found if one.facts is None and not one.lost]
            ):
                hosts.listen(waiting, left_s)
            silent = f"did not answer within {FIRST_S:g} s"
            return {one.number: one.facts or one.lost or f"machine {one.number} {silent}" for one in found}
        finally:
            for one in found:
                one.close()


def require(machines: Machines) -> dict[int, Facts]:
    """Return what each machine says of itself. Raise UsageError for the first one that cannot take part."""
    known: dict[int, Facts] = {}
    for number, found in facts_of(machines).items():
        if isinstance(found, str):
            raise UsageError(found)
        if misfit := found.misfit(number):
            raise UsageError(misfit)
        known[number] = found
    return known


def refuse_loopback(kind: str, url: str, facts: Mapping[int, Facts]) -> None:
    """Raise UsageError where the broker is on the loopback of this machine and a worker is elsewhere."""
    here = network_identity()
    far = [number for number, found in facts.items() if found.network != here]
    if far and is_loopback(url):
        raise UsageError(
            f"the {kind} server listens on the loopback of this machine, which machine {far[0]} cannot "
            f"reach: name a server that it can reach by {kind.upper()}_URL, or start one by --listen ADDRESS"
        )


def is_loopback(url: str) -> bool:
    """Return whether the host of this URL is a loopback address or its name."""
    host = urlsplit(url).hostname or ""
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
