"""The address on which private servers listen: the loopback, or the one that ``--listen`` names.

The choice is in the environment, like that of ``--server``. A server on another address has a password.
"""

from __future__ import annotations

import ipaddress
import os
import socket

from ipclab.errors import UsageError

VARIABLE = "IPCLAB_LISTEN"
LOOPBACK = "127.0.0.1"


def parse(text: str) -> str:
    """Return the address in this text.

    Raise UsageError where it is no IPv4 address of this machine, and for one that stands for every address.
    """
    try:
        address = ipaddress.IPv4Address(text.strip())
    except ValueError:
        raise UsageError(f"--listen {text!r} is no IPv4 address; write one of this machine's") from None
    if address.is_unspecified or address.is_multicast:
        raise UsageError(f"--listen {text}: name the one address that the other machines reach")
    try:
        with socket.socket() as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        raise UsageError(f"--listen {text}: this machine has no such address: {error.strerror}") from None
    return str(address)


def address() -> str:
    """Return the address that a private server should listen on."""
    return os.environ.get(VARIABLE) or LOOPBACK
