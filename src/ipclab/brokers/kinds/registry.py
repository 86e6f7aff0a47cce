"""The list of kinds of servers: the built-in ones, and those of installed packages.

A package adds a kind with one entry point in the group ``ipclab.brokers``: its name is the name of the kind,
and it points to a subclass of ``ServerKind``. A kind is imported only when it is used. So listing the names
is cheap, and a package that cannot be imported only harms those who use it. The same is true of one that ends
its process or hangs: a child process imports it first, as it does the backends of packages.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from functools import partial

from ipclab.brokers.kinds.base import ServerKind
from ipclab.errors import UnknownNameError, UsageError
from ipclab.host import rehearsal
from ipclab.host.text import line_of
from ipclab.host.told import reraise_own_end

ENTRY_POINT_GROUP = "ipclab.brokers"
_MEND = "; repair or uninstall its package"

_BUILT_IN: Mapping[str, str] = {
    "redis": "ipclab.brokers.kinds.redis:Redis",
    "rabbitmq": "ipclab.brokers.kinds.rabbitmq:RabbitMQ",
    "memcached": "ipclab.brokers.kinds.memcached:Memcached",
}
BUILT_IN: tuple[str, ...] = tuple(_BUILT_IN)
"""The lab's own kinds that ``ipclab up`` and `docker compose up` start unless others are named."""

_MORE: Mapping[str, str] = {
    "valkey": "ipclab.brokers.kinds.valkey:Valkey",
    "nats": "ipclab.brokers.kinds.nats:Nats",
    "postgres": "ipclab.brokers.kinds.postgres:Postgres",
    "mosquitto": "ipclab.brokers.kinds.mosquitto:Mosquitto",
}
_OWN: Mapping[str, str] = {**_BUILT_IN, **_MORE}
OWN: tuple[str, ...] = tuple(_OWN)
"""The names of all kinds of the lab. In ``compose.yaml`` those that are not in ``BUILT_IN`` have the profile
``more``."""


def names() -> tuple[str, ...]:
    """Return the names of all kinds, the lab's own first. Imports none of them."""
    return (*OWN, *sorted(_entry_points().keys() - _OWN.keys()))


def usual() -> tuple[str, ...]:
    """Return the kinds that are started where none is named: ``BUILT_IN`` and those of packages."""
    return tuple(name for name in usable() if name not in _MORE)


def usable() -> tuple[str, ...]:
    """Return the names of all kinds whose package can be imported."""
    found = []
    for name in names():
        with contextlib.suppress(UsageError):
            get(name)
            found.append(name)
    return tuple(found)


def variables() -> tuple[str, ...]:
    """Return every environment variable that may name a server."""
    return tuple(variable for name in usable() for variable in get(name).variables)


@functools.cache
def get(name: str) -> ServerKind:
    """Return the kind of this name.

    Raise UnknownNameError where there is none, UsageError where its package cannot be used.
    """
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        found: ServerKind = getattr(importlib.import_module(module), attribute)()
        return found
    points = _entry_points().get(name)
    if points is None:
        raise UnknownNameError("kind of server", name, names())
    if len(points) > 1:
        where = " and ".join(point.value for point in points)
        raise UsageError(f"two packages have a kind of server called {name} ({where}); uninstall one")
    kind = _loaded(name, points[0])
    if not isinstance(kind, ServerKind):
        raise UsageError(kind)
    return kind


@functools.cache
def _entry_points() -> dict[str, tuple[importlib.metadata.EntryPoint, ...]]:
    found: dict[str, tuple[importlib.metadata.EntryPoint, ...]] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


@functools.cache
def _loaded(name: str, point: importlib.metadata.EntryPoint) -> ServerKind | str:
    """Return the kind, or in one line why it cannot be used. Its code is run once in this process."""
    what = f"the kind of server {name} ({point.value})"
    if end := rehearsal.fatal(partial(_made, point)):
        return f"{what} cannot be imported and made: it {end}{_MEND}"
    try:
        kind = _made(point)
        called = kind.name if kind is not None else name
    except BaseException as error:  # noqa: BLE001 - an import may raise anything, SystemExit too
        reraise_own_end(error)
        return f"{what} cannot be imported: {line_of(error)}{_MEND}"
    if kind is None:
        return f"{what} is no ServerKind class"
    if called != name:
        return f"{what} calls itself {called}; its entry point must have the same name"
    return kind


def _made(point: importlib.metadata.EntryPoint) -> ServerKind | None:
    """Import a kind and make it; None where it is no class of a kind."""
    loaded = point.load()
    return loaded() if isinstance(loaded, type) and issubclass(loaded, ServerKind) else None
