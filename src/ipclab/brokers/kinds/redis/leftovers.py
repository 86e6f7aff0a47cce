"""Removes the keys that trials have left on a Redis."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from ipclab.brokers.kinds.base import REMOVAL
from ipclab.brokers.kinds.redis import probe

_AT_ONCE = 1000


def remove(url: str, namespaces: Sequence[str]) -> int:
    """Delete all keys under these namespaces; return how many there were. Scan all keys once.

    Raise BrokerUnavailableError.
    """
    begins = tuple(f"{namespace}:".encode() for namespace in namespaces)
    removed = 0
    with probe.client(url, bounds=REMOVAL) as client:
        for run in {namespace.rpartition(":")[0] for namespace in namespaces}:
            found = client.scan_iter(match=f"{_escape_pattern(run)}:*", count=_AT_ONCE)
            for keys in _batches(key for key in found if key.startswith(begins)):
                removed += int(client.unlink(*keys))
    return removed


def _escape_pattern(text: str) -> str:
    """Return a Redis pattern that matches only this text."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)


def _batches(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(itertools.islice(keys, _AT_ONCE)):
        yield batch
