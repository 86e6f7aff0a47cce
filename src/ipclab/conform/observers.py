"""What names a server holds, seen from outside of the adapters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import unquote

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from ipclab.backends.base import BrokerKind
from ipclab.backends.memcached import client as memcached_client
from ipclab.backends.redis.client import connect as connect_redis
from ipclab.brokers import KINDS, kinds
from ipclab.brokers.kinds.base import ServerKind

_declared: set[str] = set()


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Note which queues this process declares: AMQP can tell whether a name exists, but not list them."""
    declare = BlockingChannel.queue_declare

    def noting(channel: BlockingChannel, queue: str, *args: object, **settings: object) -> object:
        _declared.add(queue)
        return declare(channel, queue, *args, **settings)

    BlockingChannel.queue_declare = noting
    try:
        yield
    finally:
        BlockingChannel.queue_declare = declare


def names(kind: BrokerKind, url: str, beginning: str = "") -> set[str]:
    """Return every key, queue and topic on this server with this prefix.

    On RabbitMQ: of those that this process declared.
    """
    if kind not in KINDS:
        listed = kinds.get(kind).names(url) or set()
        return {name for name in listed if name.startswith(beginning)}
    if kind == "rabbitmq":
        return _existing(url, {name for name in _declared if name.startswith(beginning)})
    found = _redis(url) if kind == "redis" else _memcached(url)
    return {name for name in found if name.startswith(beginning)}


def can_list(kind: BrokerKind) -> bool:
    """Return whether ``names()`` can list what is on such a server: a foreign kind may not be able to."""
    return kind in KINDS or type(kinds.get(kind)).names is not ServerKind.names


def _redis(url: str) -> set[str]:
    with connect_redis(url) as client:
        return {name.decode() for name in [*client.scan_iter(), *client.pubsub_channels()]}


def _memcached(url: str) -> set[str]:
    with memcached_client.endpoint(url).connect(10) as link:
        link.sendall(b"lru_crawler metadump hash\r\n")
        lines: list[str] = []
        for line in link.makefile("rb"):
            if line.strip() == b"END":
                return {unquote(text.split()[0].removeprefix("key=")) for text in lines}
            lines.append(line.decode())
    raise ConnectionError("memcached closed the connection within the list of its keys")


def _existing(url: str, queues: set[str]) -> set[str]:
    found = set()
    for queue in queues:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            try:
                connection.channel().queue_declare(queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                _declared.discard(queue)
                continue
            found.add(queue)
    return found
