"""memcached."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ipclab.backends.memcached import client as clients
from ipclab.brokers import commands, programs
from ipclab.brokers.base import Broker, Usage, mask
from ipclab.brokers.kinds import listening
from ipclab.brokers.kinds.base import (
    PROBE_MOST_BYTES,
    PROBE_TIMEOUT_S,
    REMOVAL,
    ComposeService,
    Launch,
    LoginRefusedError,
    Plan,
    ServerKind,
    Squeeze,
    one_line,
)
from ipclab.brokers.kinds.state import Room, ServerState
from ipclab.errors import BrokerUnavailableError
from ipclab.host import ports
from ipclab.host.bounded_socket import Bounds
from ipclab.host.interruptions import ending_blocked

_KEYS = ("head", "tail", "counter", "register", "value", "state", "lock", "lock:fence", "lock:guarded")
"""The names of the keys of the lab and its claims within a namespace, besides the slots of a channel."""
_DELETED_AT_ONCE = 1000
_LOSSES = ("evictions",)


class Memcached(ServerKind):
    """A memcached server. A private one has a random password where its version supports one (1.5.15)."""

    name = "memcached"
    title = "memcached"
    schemes = ("memcached", clients.TLS_SCHEME)
    variables = ("MEMCACHED_URL",)
    example_url = f"memcached://host:{clients.PORT}"
    default_port = clients.PORT
    program = "memcached"
    package = "memcached"
    libraries = ("pymemcache",)
    service = ComposeService(
        port=f"{clients.PORT}/tcp",
        variables=("IPCLAB_MEMCACHED_PORT",),
        url="memcached://{login}{at}",
        password_variable="IPCLAB_MEMCACHED_PASSWORD",
        password_inside="IPCLAB_PASSWORD",
        login="ipclab:{}@",
    )
    has_memory_limit = True

    def version(self, url: str, timeout_s: float) -> str:
        with _client(url, timeout_s) as client:
            answer: bytes = client.version()
            return answer.decode("ascii", "replace")

    def usage(self, url: str, timeout_s: float) -> Usage | None:
        found = stats(url, timeout_s)
        # memcached counts the bytes of its items, and does not report the memory of the process.
        return Usage(float(found[b"rusage_user"]) + float(found[b"rusage_system"]), None)

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        with _client(url, PROBE_TIMEOUT_S, REMOVAL) as client:
            return sum(_remove(client, namespace) for namespace in namespaces)

    def plan(self, program: str, folder: Path) -> Plan:
        port = ports.free_port()
        host = listening.address()
        if host != listening.LOOPBACK and not _knows_logins(program):
            raise BrokerUnavailableError("this memcached knows no password, so it listens on loopback only")
        argv = [program, "-l", host, "-p", str(port), "-U", "0"]
        if os.geteuid() == 0:
            # Linux drops the parent-death signal of a process that switches to another user.
            argv += ["-u", "root"]
        login = ""
        if _knows_logins(program):
            password = secrets.token_hex(16)
            programs.write_private(folder / "logins", f"ipclab:{password}\n")
            argv += ["-Y", str(folder / "logins")]
            login = f"ipclab:{password}@"
        launch = Launch(tuple(argv), programs.environment(folder))
        return Plan(f"memcached://{login}{host}:{port}", (launch,))

    def canonical(self, value: str) -> str:
        return value if "://" in value else f"memcached://{value.removeprefix('unix:')}"

    def check_url(self, url: str) -> None:
        super().check_url(url)
        clients.check(url)

    def is_local(self, url: str) -> bool:
        return urlsplit(url).path not in ("", "/")

    def confirm_identity(self, url: str, pid: int) -> None:
        if int(stats(url)[b"pid"]) != pid:
            raise self.unavailable(url, "is another one: address in use")

    def describe(self, broker: Broker) -> ServerState:
        with _client(broker.url, PROBE_TIMEOUT_S) as client:
            found, set_to = client.stats(), client.stats("settings")
        free = int(set_to[b"maxconns"]) - int(found[b"curr_connections"])
        names = ("maxbytes", "item_size_max", "evictions", "maxconns", "idle_timeout", "cas_enabled")
        settings = {name: _text(set_to[name.encode()]) for name in names if name.encode() in set_to}
        return ServerState(settings=settings, free_connections=free)

    def room(self, url: str, item_bytes: int) -> Room | None:
        with _client(url, PROBE_TIMEOUT_S) as client:
            found, slabs = client.stats(), client.stats("slabs")
        items = int(found[b"curr_items"])
        return Room(
            free_bytes=_free_bytes(found, slabs, item_bytes),
            items=items,
            item_bytes=int(found[b"bytes"]) // items if items else 1,
            evicts=True,
        )

    def losses(self, url: str) -> dict[str, int]:
        found = stats(url)
        return {name: int(found[name.encode()]) for name in _LOSSES if name.encode() in found}

    @contextlib.contextmanager
    def squeezed(self, broker: Broker) -> Iterator[Squeeze]:
        """Change nothing: memcached evicts at any time, and its limit cannot be lowered below its items. Send
        more than ``room_bytes``."""
        room_bytes = int(stats(broker.url)[b"limit_maxbytes"])
        try:
            what = f"{room_bytes} bytes of memory, as started: items beyond that evict others"
            yield Squeeze(room_bytes, what)
        finally:
            with ending_blocked():
                broker.revive()


def stats(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> dict[bytes, Any]:
    """Return the general statistics of the server at ``url``; ``pid`` identifies it."""
    with _client(url, timeout_s) as client:
        found: dict[bytes, Any] = client.stats()
        return found


def _remove(client: Any, namespace: str) -> int:
    """Delete the lab's keys under a namespace; memcached cannot list its keys."""
    removed = 0
    for prefix in (namespace, f"{namespace}:there", f"{namespace}:back"):
        last = int(client.get(f"{prefix}:tail", b"0"))
        for first in range(1, last + 1, _DELETED_AT_ONCE):
            slots = range(first, min(first + _DELETED_AT_ONCE, last + 1))
            # Not counted: most have been received, and an answer for each would take long.
            client.delete_many([f"{prefix}:{slot}" for slot in slots], noreply=True)
        removed += sum(client.delete(f"{prefix}:{name}", noreply=False) for name in _KEYS)
    return removed


@contextlib.contextmanager
def _client(url: str, timeout_s: float, bounds: Bounds | None = None) -> Iterator[Any]:
    """Yield a new client. It reads at most PROBE_MOST_BYTES, within ``timeout_s`` altogether, unless
    ``bounds`` say otherwise."""
    from pymemcache.exceptions import MemcacheError

    connected = clients.make(url, connect_timeout=timeout_s, timeout=timeout_s, default_noreply=False)
    connected.bound = (bounds or Bounds(PROBE_MOST_BYTES, timeout_s)).around
    try:
        yield connected
    except clients.LoginRefused as error:
        raise LoginRefusedError(f"memcached at {mask(url)} refuses the login: {one_line(error)}") from None
    except (MemcacheError, OSError, ValueError, KeyError, IndexError) as error:
        reason = one_line(error)
        if "unauthenticated" in reason:
            raise LoginRefusedError(
                f"memcached at {mask(url)} requires a user and a password: add them to the URL"
            ) from None
        if "Unexpected end" in reason or isinstance(error, EOFError):
            reason = "it closed the connection, as a server that requires SASL or TLS does"
        raise BrokerUnavailableError(f"memcached at {mask(url)} does not answer: {reason}") from None
    finally:
        connected.close()


def _free_bytes(found: dict[bytes, Any], slabs: dict[bytes, Any], item_bytes: int) -> int:
    """Return the free bytes for items of this size: unassigned pages, and free places in their class.

    A page belongs to one size class, so a server may evict small items while large places are free.
    """
    pages = int(found[b"limit_maxbytes"]) - int(slabs.get(b"total_malloced", 0))
    sizes = {
        int(name.partition(b":")[0]): int(value)
        for name, value in slabs.items()
        if name.endswith(b":chunk_size")
    }
    fits = [number for number, size in sizes.items() if size >= item_bytes]
    if not fits:
        return max(pages, 0)
    number = min(fits, key=sizes.__getitem__)
    free_chunks = int(slabs.get(b"%d:free_chunks" % number, 0))
    return max(pages, 0) + free_chunks * sizes[number]


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


@functools.cache
def _knows_logins(program: str) -> bool:
    """Return whether this program has the option for a file of logins, which earlier versions lack."""
    return "--auth-file" in commands.run([program, "-h"], timeout_s=10.0).stdout
