"""The operations of racers on shared state: one at a time, each logged before and after it; or many, in a
loop that logs them, or in one that only counts them."""

from __future__ import annotations

import abc
import functools
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from ipclab.backends import checked
from ipclab.backends.base import Counter, Pause, SharedState
from ipclab.backends.shared import Mutex, Register
from ipclab.checks.fifo import CORRUPTED
from ipclab.errors import CannotHoldError
from ipclab.history.log import ProcessLog
from ipclab.host.clock import now_ns

Held = TypeVar("Held")
READS_A_WRITE = 3
"""Reads for each write, in a loop over a register without compare-and-set."""


class Moves(abc.ABC):
    """The operations of one racer. ``holdable`` says whether it can be held within an operation;
    ``out_of_reach`` says that an operation has such a moment but the lab cannot hold it there."""

    holdable = False
    out_of_reach = False

    def _hold(
        self, held_client: Callable[[int, Pause], Held | None], index: int, pause: Pause | None
    ) -> Held | None:
        """Return the held client; None where there is none, or no hold is wanted."""
        if pause is None:
            return None
        try:
            held = held_client(index, pause)
        except CannotHoldError:
            self.out_of_reach = True
            return None
        self.holdable = held is not None
        return held

    @abc.abstractmethod
    def do(self, f: str, value: Any = None) -> Any:
        """Do and log one operation; return its answer. If it raises, the operation's outcome is unknown."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the connection."""


class LoadedMoves(Moves):
    """The operations of a racer that can also race under load, in rounds of its own."""

    def load(self, end_ns: int, most: int) -> int:
        """Race and log until ``end_ns``, at most ``most`` rounds; return the number of rounds."""
        rounds = 0
        while rounds < most and now_ns() < end_ns:
            rounds += 1
            self.round(rounds)
        return rounds

    @abc.abstractmethod
    def round(self, number: int) -> None:
        """Do one logged round of a race under load; ``number`` is 1 or above."""

    @abc.abstractmethod
    def measure(self, end_ns: int) -> int:
        """Race without a log until ``end_ns``; return how many operations had ended by then.

        The last operations end later. To count them would favour the slowest disciplines most.
        """


class CounterMoves(Moves):
    """``add`` and ``read``; ``stop`` ends the owner and is not logged."""

    def __init__(self, counter: Counter, index: int, log: ProcessLog, pause: Pause | None) -> None:
        held = self._hold(counter.held_client, index, pause)
        self._client = checked.counter_client(counter, held or counter.client(index))
        self._log = log

    def do(self, f: str, value: Any = None) -> Any:
        if f == "stop":
            return self._client.stop_owner()
        if f == "add":
            self._log.invoke("add", 1)
            self._client.increment()
            return self._log.ok()
        self._log.invoke("read")
        found = self._client.read()
        self._log.ok(found)
        return found

    def close(self) -> None:
        self._client.close()


class RegisterMoves(LoadedMoves):
    """``read``, ``write`` and ``cas``; the value of ``cas`` is old and new. No value is written twice."""

    def __init__(self, register: Register, index: int, log: ProcessLog, pause: Pause | None) -> None:
        held = self._hold(register.held_client, index, pause)
        self._client = checked.register_client(register, held or register.client(index))
        self._compares = register.compares
        self._log = log
        self._index, self._step = index, register.site.producers

    def do(self, f: str, value: Any = None) -> Any:
        self._log.invoke(f, value)
        if f == "read":
            found = self._client.read()
            self._log.ok(found if isinstance(found, int) else {CORRUPTED: found})
            return found
        if f == "write":
            self._client.write(value)
        elif not self._client.compare_and_set(*value):
            return self._log.fail()
        self._log.ok()
        return True

    def round(self, number: int) -> None:
        own = self._index + self._step * number
        if self._compares:
            self.do("cas", [self.do("read"), own])
            return
        self.do("write", own)
        for _ in range(READS_A_WRITE):
            self.do("read")

    def measure(self, end_ns: int) -> int:
        read, write, own = self._client.read, self._client.write, self._index
        operations = 0
        if self._compares:
            compare_and_set = self._client.compare_and_set
            while True:
                found = read()
                if now_ns() >= end_ns:
                    return operations
                compare_and_set(found, own)
                if now_ns() >= end_ns:
                    return operations + 1
                operations += 2
        in_turn: tuple[Callable[[], object], ...] = (functools.partial(write, own), *[read] * READS_A_WRITE)
        for operate in itertools.cycle(in_turn):
            operate()
            if now_ns() >= end_ns:
                break
            operations += 1
        return operations

    def close(self) -> None:
        self._client.close()


class MutexMoves(LoadedMoves):
    """``acquire``, ``use`` and ``release``.

    For a lock without fencing, the acquire and the release are logged: the holds. A fenced lock does not
    declare that its holds exclude each other, but that the guarded resource admits holders one after the
    other, in the order of their tokens. So each use is logged: an acquire of the resource, with the token
    that was shown, and its release. A use that was refused is an acquire that failed.
    """

    def __init__(self, mutex: Mutex, index: int, log: ProcessLog, pause: Pause | None) -> None:
        held = self._hold(mutex.held_client, index, pause)
        self._client = checked.mutex_client(mutex, held or mutex.client(index))
        self._fenced = mutex.fenced
        self._log = log
        self._token: int | None = None

    def do(self, f: str, value: Any = None) -> Any:
        if f == "use":
            return self._use()
        if not self._fenced:
            self._log.invoke(f, self._token if f == "release" else None)
        if f == "acquire":
            self._token = self._client.acquire()
        else:
            self._client.release()
        if not self._fenced:
            self._log.ok(self._token)
        return self._token

    def _use(self) -> bool:
        if not self._fenced:
            return True
        assert self._token is not None
        self._log.invoke("acquire")
        if not self._client.write(self._token):
            self._log.fail()
            return False
        self._log.ok(self._token)
        self._log.invoke("release", self._token)
        self._log.ok()
        return True

    def round(self, number: int) -> None:
        self.do("acquire")
        self._use()
        self.do("release")

    def measure(self, end_ns: int) -> int:
        client, fenced = self._client, self._fenced
        rounds = 0
        while True:
            token = client.acquire()
            if fenced:
                assert token is not None
                client.write(token)
            client.release()
            if now_ns() >= end_ns:
                return rounds
            rounds += 1

    def close(self) -> None:
        self._client.close()


def moves(shared: SharedState, index: int, log: ProcessLog, pause: Pause | None) -> Moves:
    """Return the connected operations on this state; ``pause`` holds them, where it is given and can be."""
    if isinstance(shared, Counter):
        return CounterMoves(shared, index, log, pause)
    if isinstance(shared, Register):
        return RegisterMoves(shared, index, log, pause)
    assert isinstance(shared, Mutex)
    return MutexMoves(shared, index, log, pause)
