"""What the task queues on Redis share: the names of their keys, what they hold, and the clean-up."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from ipclab.backends.base import Guarantees, LossCause
from ipclab.backends.redis.client import connect
from ipclab.backends.tasks.base import FrameworkQueue

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")


class RedisTaskQueue(FrameworkQueue):
    """A task queue whose keys match ``patterns()``."""

    broker: ClassVar[str] = "redis"
    readable: ClassVar[bool] = True

    def patterns(self) -> tuple[str, ...]:
        """Return the patterns of all keys of this trial."""
        return (f"{self.queue_name}*",)

    def setup(self) -> None:
        """Make nothing: the framework makes its keys."""

    def teardown(self) -> None:
        """Delete all keys of this trial."""
        with contextlib.closing(connect(self.site.broker_url)) as client:
            for key in self._keys(client):
                client.delete(key)

    def held(self, bodies: Collection[str]) -> set[str]:
        """Return those of these tasks that some key of this trial still contains."""
        with contextlib.closing(connect(self.site.broker_url)) as client:
            texts = [text for blob in self.waiting(client) for text in texts_in(blob)]
        return {body for body in bodies if any(contains(text, body) for text in texts)}

    def waiting(self, client: Any) -> Iterator[bytes]:
        """Yield every value in which the framework keeps a task that it may still do."""
        for key in self._keys(client):
            yield from values(client, key)

    def _keys(self, client: Any) -> list[bytes]:
        return [key for pattern in self.patterns() for key in client.scan_iter(pattern, count=1000)]


def declared(delivery: str, *causes: LossCause, confirm: str = "broker", disk: bool = False) -> Guarantees:
    """Return a declaration for one host or many, without order."""
    return Guarantees(
        delivery="at-least-once" if delivery == "at-least-once" else "at-most-once",
        may_lose=frozenset(causes),
        order="none",
        durability="disk" if disk else "none",
        confirm="written" if confirm == "written" else "broker",
        reach="network",
    )


def contains(text: bytes, body: str) -> bool:
    """Return whether a text contains this body as a whole word: ``task-1`` is not in ``task-12``."""
    return re.search(rb"(?<![0-9A-Za-z-])" + re.escape(body.encode()) + rb"(?![0-9])", text) is not None


def texts_in(blob: bytes) -> Iterator[bytes]:
    """Yield the value itself, and what it contains in compressed form or in base64."""
    yield blob
    with contextlib.suppress(zlib.error):
        yield zlib.decompress(blob)
    for word in _BASE64.findall(blob):
        with contextlib.suppress(binascii.Error):
            yield base64.b64decode(word + b"=" * (-len(word) % 4))


def values(client: Any, key: bytes) -> Iterator[bytes]:
    """Yield all values of a key, whatever its type."""
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"hash":
            yield from client.hvals(key)
        case b"set":
            yield from client.smembers(key)
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case b"stream":
            for _, fields in client.xrange(key):
                yield from _values_of(fields)


def _values_of(fields: Mapping[bytes, bytes]) -> Iterator[bytes]:
    yield from fields.values()
