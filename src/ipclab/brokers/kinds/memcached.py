"""memcached."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ipclab.brokers import programs
from ipclab.brokers.base import Broker, Usage, mask
from ipclab.brokers.kinds.base import (
    PROBE_TIMEOUT_S,
    ComposeService,
    Launch,
    Plan,
    ServerKind,
    Squeeze,
    one_line,
)
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host import ports
from ipclab.host.interruptions import ending_blocked


class Memcached(ServerKind):
    """A memcached server. It knows no password, so a private one is known by its pid."""

    name = "memcached"
    title = "memcached"
    schemes = ("memcached",)
    variables = ("MEMCACHED_URL",)
    example_url = "memcached://host:11211"
    default_port = 11211
    program = "memcached"
    package = "memcached"
    libraries = ("pymemcache",)
    service = ComposeService(port="11211/tcp", variables=("IPCLAB_MEMCACHED_PORT",), url="memcached://{}")
    has_memory_limit = True

    def version(self, url: str, timeout_s: float) -> str:
        with _client(url, timeout_s) as client:
            answer: bytes = client.version()
            return answer.decode("ascii", "replace")

    def usage(self, url: str, timeout_s: float) -> Usage | None:
        found = stats(url, timeout_s)
        # memcached counts the bytes of its items, and does not tell what the process holds.
        return Usage(float(found[b"rusage_user"]) + float(found[b"rusage_system"]), None)

    def plan(self, program: str, folder: Path) -> Plan:
        port = ports.free_port()
        argv = [program, "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
        if os.geteuid() == 0:
            # Linux forgets that a process is to die with its parent where the process takes another user.
            argv += ["-u", "root"]
        return Plan(f"memcached://127.0.0.1:{port}", (Launch(tuple(argv), programs.environment(folder)),))

    def canonical(self, value: str) -> str:
        return value if "://" in value else f"memcached://{value}"

    def check_url(self, url: str) -> None:
        super().check_url(url)
        if "@" in urlsplit(url).netloc:
            raise UsageError("the memcached client cannot log in; leave out user and password")

    def confirm_identity(self, url: str, pid: int) -> None:
        if int(stats(url)[b"pid"]) != pid:
            raise self.unavailable(url, "is another one: address in use")

    @contextlib.contextmanager
    def squeezed(self, broker: Broker) -> Iterator[Squeeze]:
        """Change nothing: memcached evicts from its first day on, and its limit cannot be moved under its
        items. Send more than ``room_bytes``."""
        room_bytes = int(stats(broker.url)[b"limit_maxbytes"])
        try:
            what = f"{room_bytes} bytes of memory, as started: items beyond that evict others"
            yield Squeeze(room_bytes, what)
        finally:
            with ending_blocked():
                broker.revive()


def stats(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> dict[bytes, Any]:
    """Return the general statistics of the server at ``url``; ``pid`` tells whose it is."""
    with _client(url, timeout_s) as client:
        found: dict[bytes, Any] = client.stats()
        return found


@contextlib.contextmanager
def _client(url: str, timeout_s: float) -> Iterator[Any]:
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheError

    parts = urlsplit(url)
    client = Client(
        (parts.hostname or "127.0.0.1", parts.port or 11211),
        connect_timeout=timeout_s,
        timeout=timeout_s,
        default_noreply=False,
    )
    try:
        yield client
    except (MemcacheError, OSError, ValueError, KeyError, IndexError) as error:
        raise BrokerUnavailableError(f"memcached at {mask(url)} does not answer: {one_line(error)}") from None
    finally:
        client.close()
