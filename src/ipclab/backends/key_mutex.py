"""The common part of the locks of key-value servers: a key that exists while the lock is held."""

from __future__ import annotations

import time
from typing import Any, Literal, Protocol

from ipclab.backends.shared import BUSY_PAUSE_S, Mutex, MutexClient


class KeyMutex(Mutex):
    """A key that exists while the lock is held, taken as ``discipline`` says.

    With ``get-set`` two clients can hold it, and it stays taken when its holder dies. With any other
    discipline it expires, and what it guards is safe only where that checks the tokens of a ``fenced`` lock.
    """

    @property
    def safe(self) -> bool:
        return self.fenced

    @property
    def expires(self) -> bool:
        return self.discipline != "get-set"

    @property
    def fenced(self) -> bool:
        return self.discipline == "fenced"

    @property
    def reach(self) -> Literal["network"]:
        return "network"


class KeyClient(Protocol):
    """The common interface of the clients of such servers."""

    def get(self, key: str, /) -> Any: ...
    def set(self, key: str, value: str, /) -> Any: ...
    def delete(self, key: str, /) -> Any: ...
    def close(self) -> None: ...


class LookAndSet(MutexClient):
    """``get-set``: sets the key where a get has found nothing."""

    def __init__(self, client: KeyClient, key: str) -> None:
        self._client = client
        self._key = key

    def acquire(self) -> None:
        while self._client.get(self._key):
            time.sleep(BUSY_PAUSE_S)
        self._client.set(self._key, "held")

    def release(self) -> None:
        self._client.delete(self._key)

    def close(self) -> None:
        self._client.close()
