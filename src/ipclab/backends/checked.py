"""The ends and clients of a backend, whose every answer is checked against the contract.

A worker gets its end of a backend here. For the lab's own backends that is the object that the backend made.
For a backend of another package, each answer is checked before the lab uses it;
``benchmarks/checked_cost.py`` measures the cost of that. ``send()`` and ``increment()`` answer nothing, and
cost nothing.

The returned objects are not thread-safe and not usable after a fork, like those they replace. All functions
raise ContractError where the backend did not return what the contract asks for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from ipclab.backends.base import Channel, Consumer, Counter, CounterClient, Producer, SharedState
from ipclab.backends.declared import described
from ipclab.backends.registry import is_own
from ipclab.backends.shared import Mutex, MutexClient, Register, RegisterClient
from ipclab.errors import BrokerUnavailableError, ChannelError, ContractError
from ipclab.host.start_methods import StartMethod
from ipclab.host.text import clean, line_of

_T = TypeVar("_T")


def producer(channel: Channel, index: int) -> Producer:
    """Connect this producer of the channel; return it with checked answers."""
    made = _require_kind(channel.name, f"producer({index})", channel.producer(index), Producer)
    if not is_own(channel.name) and not callable(made.sender()):
        raise ContractError(f"{channel.name}: sender() returns a function")
    return made


def consumer(channel: Channel, index: int, *, objects: bool = False) -> Consumer:
    """Connect this consumer of the channel; return it with checked answers.

    With ``objects`` it may return any objects in place of bodies, as ``Channel.carries_objects`` allows.
    """
    made = _require_kind(channel.name, f"consumer({index})", channel.consumer(index), Consumer)
    if is_own(channel.name):
        return made
    return _Consumer(channel.name, made, channel.site.window, objects=objects)


def counter_client(counter: Counter, made: CounterClient) -> CounterClient:
    """Return this client, which the counter has just made, with checked answers."""
    _require_kind(counter.name, "client()", made, CounterClient)
    return made if is_own(counter.name) else _CounterClient(counter.name, made)


def register_client(register: Register, made: RegisterClient) -> RegisterClient:
    """Return this client, which the register has just made, with checked answers."""
    _require_kind(register.name, "client()", made, RegisterClient)
    return made if is_own(register.name) else _RegisterClient(register.name, made)


def mutex_client(mutex: Mutex, made: MutexClient) -> MutexClient:
    """Return this client, which the lock has just made, with checked answers."""
    _require_kind(mutex.name, "client()", made, MutexClient)
    return made if is_own(mutex.name) else _MutexClient(mutex.name, made, fenced=mutex.fenced)


def lacks(name: str, make: Callable[[], Channel | SharedState]) -> str:
    """Return in one line what this backend lacks; a wrong answer or an error of another package is one, too.

    Raise BrokerUnavailableError where the server does not answer, and what a backend of the lab raises.
    """
    try:
        said = make().lacks()
    except BrokerUnavailableError:
        raise
    except (Exception, SystemExit) as error:
        if is_own(name):
            raise
        return f"its constructor or lacks() raised {line_of(error)}"
    if type(said) is not str:
        return str(_wrong(name, "lacks()", said, "a str"))
    return clean(" ".join(said.split()))


def _require_kind(name: str, call: str, made: object, kind: Callable[..., _T]) -> _T:
    if is_own(name):
        return cast("_T", made)
    # ``kind`` is a Callable in its type, because mypy accepts no abstract class for a ``type``.
    assert isinstance(kind, type)
    if not isinstance(made, kind):
        raise ContractError(f"{name}: {call} returned {described(made)}, which is no {kind.__name__}")
    return cast("_T", made)


def _wrong(name: str, call: str, answer: object, allowed: str) -> ContractError:
    return ContractError(f"{name}: {call} returned {described(answer)}; the contract allows {allowed}")


@contextlib.contextmanager
def sending(backend: Channel | SharedState | None, start_method: StartMethod) -> Iterator[None]:
    """Start in the block a process that gets this backend. Raise ContractError if it cannot be pickled."""
    try:
        yield
    except ChannelError as error:
        name = backend.name if backend is not None else "the backend"
        raise ContractError(
            f"{name} cannot be sent to its workers with the start method {start_method}: "
            f"{line_of(error.__cause__ or error)}; connect in producer(), consumer() or "
            f"client(), and make locks and queues by site.context"
        ) from error


_BODIES = "a list or tuple of one or more bytes objects"


class _Consumer(Consumer):
    def __init__(self, name: str, inner: Consumer, window: int, *, objects: bool = False) -> None:
        self._name = name
        self._inner = inner
        self._objects = objects
        self._window = window
        if type(inner.acknowledges) is not bool:
            raise ContractError(f"{name}: acknowledges is True or False, not {described(inner.acknowledges)}")
        # It is a class variable of every backend's consumers; this class replaces all of them.
        self.acknowledges = inner.acknowledges  # type: ignore[misc]
        self.ack = inner.ack  # type: ignore[method-assign]
        self.rejects = inner.rejects is True  # type: ignore[misc]
        self.reject = inner.reject  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]
        self._receive: Callable[[], Sequence[bytes]] = inner.receive

    def receive(self) -> Sequence[bytes]:
        bodies = self._receive()
        kind = type(bodies)
        if kind is not list and kind is not tuple:
            raise _wrong(self._name, "receive()", bodies, _BODIES)
        for body in () if self._objects else bodies:
            if type(body) is not bytes:
                raise _wrong(self._name, "receive()", body, f"{_BODIES}, so not this body")
        if not 0 < len(bodies) <= self._window:
            raise ContractError(
                f"{self._name}: receive() returned {len(bodies)} bodies; the contract allows 1 to "
                f"{self._window}, the window of this trial"
            )
        return bodies

    def receiver(self) -> Callable[[], bytes] | None:
        inner = self._inner.receiver()
        if inner is None:
            return None
        if not callable(inner):
            raise _wrong(self._name, "receiver()", inner, "a function or None")
        receive_one, name = inner, self._name
        if self._objects:
            return receive_one

        def receive() -> bytes:
            body = receive_one()
            if type(body) is not bytes:
                raise _wrong(name, "the function of receiver()", body, "one bytes object")
            return body

        return receive


class _CounterClient(CounterClient):
    def __init__(self, name: str, inner: CounterClient) -> None:
        self._name = name
        self._read = inner.read
        self.increment = inner.increment  # type: ignore[method-assign]
        self.stop_owner = inner.stop_owner  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]

    def increment(self) -> None:
        raise NotImplementedError  # replaced in __init__ by that of the backend

    def read(self) -> int:
        return _require_int(self._name, "read()", self._read())


def _require_int(name: str, call: str, answer: object) -> int:
    if type(answer) is not int:
        raise _wrong(name, call, answer, "an int")
    if not -(2**63) <= answer < 2**63:
        raise _wrong(name, call, answer, "an int of 64 bits")
    return answer


class _RegisterClient(RegisterClient):
    def __init__(self, name: str, inner: RegisterClient) -> None:
        self._name = name
        self._inner = inner
        self.write = inner.write  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]

    def read(self) -> Any:
        found = self._inner.read()
        if type(found) is str or type(found) is bytes:
            # The value is not a number: a torn value, which the history keeps as text.
            return found if isinstance(found, str) else repr(found)
        if type(found) is not int:
            raise _wrong(self._name, "read()", found, "an int, or a str or bytes that was found instead")
        return _require_int(self._name, "read()", found)

    def write(self, value: int) -> None:
        raise NotImplementedError  # replaced in __init__ by that of the backend

    def compare_and_set(self, old: int, new: int) -> bool:
        answer = self._inner.compare_and_set(old, new)
        if type(answer) is not bool:
            raise _wrong(self._name, "compare_and_set()", answer, "True or False")
        return answer


class _MutexClient(MutexClient):
    def __init__(self, name: str, inner: MutexClient, *, fenced: bool) -> None:
        self._name = name
        self._inner = inner
        self._fenced = fenced
        self.release = inner.release  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]

    def acquire(self) -> int | None:
        token = self._inner.acquire()
        if token is None and not self._fenced:
            return None
        if type(token) is not int:
            allowed = "an int, its fencing token" if self._fenced else "None, or an int as its fencing token"
            raise _wrong(self._name, "acquire()", token, allowed)
        return _require_int(self._name, "acquire()", token)

    def release(self) -> None:
        raise NotImplementedError  # replaced in __init__ by that of the backend

    def write(self, token: int) -> bool:
        answer = self._inner.write(token)
        if type(answer) is not bool:
            raise _wrong(self._name, "write()", answer, "True or False")
        return answer
