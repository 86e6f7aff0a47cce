"""Free loopback ports."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_FIRST_PORT, _LAST_PORT = 10_000, 32_768


def free_port() -> int:
    """Return a loopback port that is free now; another program may take it before it is bound.

    The port is below those that the system gives to clients. A client that keeps trying to reach a server
    that is down may get the server's own port; it is then connected to itself, and the server cannot get the
    port back.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.SystemRandom().randrange(_FIRST_PORT, _first_of_clients())
            probe.bind(("127.0.0.1", port))
            return port


def _first_of_clients() -> int:
    """Return the first port that the system gives to clients."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        if first > _FIRST_PORT:
            return first
    return _LAST_PORT
