"""Holds a counter's client between its reading and its writing, so that a race comes out the same every time.

Two clients that pass the gate together have both read the same value when the first of them writes. A client
of an unknown backend is taken to read by its own ``read()``.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from ipclab.backends.base import Counter, CounterClient

GATE_WITHIN_S = 20.0


class _GatedItem:
    """A mapping whose reader waits at the gate with what it has read."""

    def __init__(self, shared: Any, wait: Callable[[], object]) -> None:
        self._shared = shared
        self._wait = wait

    def __getitem__(self, key: str) -> int:
        value: int = self._shared[key]
        self._wait()
        return value

    def __setitem__(self, key: str, value: int) -> None:
        self._shared[key] = value


class _GatedValue:
    """A shared value whose reader waits at the gate with what it has read."""

    def __init__(self, shared: Any, wait: Callable[[], object]) -> None:
        self._shared = shared
        self._wait = wait

    @property
    def value(self) -> int:
        read: int = self._shared.value
        self._wait()
        return read

    @value.setter
    def value(self, value: int) -> None:
        self._shared.value = value


def _gate_attribute(name: str, gated: type) -> Callable[[Any, Callable[[], object]], None]:
    def install(client: Any, wait: Callable[[], object]) -> None:
        setattr(client, name, gated(getattr(client, name), wait))

    return install


def _gate_method(owner: Callable[[Any], Any], name: str) -> Callable[[Any, Callable[[], object]], None]:
    def install(client: Any, wait: Callable[[], object]) -> None:
        target = owner(client)
        read = getattr(target, name)

        def read_and_wait(*arguments: object) -> object:
            value = read(*arguments)
            wait()
            return value

        setattr(target, name, read_and_wait)

    return install


_OF_READ = _gate_method(lambda client: client, "read")
_GATES = {
    ("manager-dict", "naive"): _gate_attribute("_shared", _GatedItem),
    ("value", "naive"): _gate_attribute("_value", _GatedValue),
    ("redis", "watch"): _gate_method(lambda client: client._transaction, "get"),
    ("memcached", "cas"): _gate_method(lambda client: client._client, "gets"),
}


def gated_client(counter: Counter, index: int, gate: Barrier) -> CounterClient:
    """The role of a client that waits at the gate after the first reading of its first increment."""
    client = counter.client(index)
    waited = False

    def wait_once() -> None:
        nonlocal waited
        if not waited:
            waited = True
            gate.wait(GATE_WITHIN_S)

    _GATES.get((counter.name, counter.discipline), _OF_READ)(client, wait_once)
    return client
