"""The ends of a channel, and the clients of a counter, each in a process of its own and led step by step."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from ipclab.backends.base import Channel, Consumer, Counter, CounterClient, Producer
from ipclab.conform.promise import require
from ipclab.host import hang, supervisor
from ipclab.host.child import Manner
from ipclab.host.link import Link
from ipclab.host.start_methods import StartMethod

DEADLINE_S = 30.0
GATE_WITHIN_S = 20.0
STOP_ROUND_S = 0.5
STOP = b"-- end of test --"


class RemoteError(Exception):
    """What was raised in the process, as ``Type: message``, or how it died; a traceback is in the notes."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that a call has yielded."""

    value: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call, or the making of the object, has come to."""

    value: Any = None


class Remote:
    """An object in a child of the lab's supervisor. Calls are sent to it and answered in turn.

    ``kill()`` at the end, also after ``leave()``.
    """

    def __init__(self, start_method: StartMethod, role: Callable[..., Any], *arguments: object) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ipclab-ends-"))
        name = getattr(role, "__name__", "end")
        manner = Manner(name=name, folder=self._folder, start_method=start_method)
        self.child = supervisor.start(start_method, manner, _serve, (role, *arguments))
        self.items: list[Any] = []
        """What calls that yield have yielded so far, as far as it was listened to."""
        self._answers: deque[Answer] = deque()

    @property
    def exit_code(self) -> int | None:
        """Return the exit code as ``multiprocessing.Process.exitcode`` does."""
        return self.child.exit_code

    def begin(self, call: Callable[..., object], *arguments: object) -> None:
        """Start ``call(object, *arguments)`` over there; an iterator that it returns is run to its end."""
        self.child.tell((call, arguments))

    def listen(self, within_s: float = 0.0) -> bool:
        """Take in what is said, waiting for the first of it; return whether anything was."""
        supervisor.listen([self.child], within_s)
        return self.take_in()

    def take_in(self) -> bool:
        """Take over what the supervisor has heard; return whether that was anything."""
        said = bool(self.child.inbox)
        while self.child.inbox:
            message = self.child.inbox.popleft()
            if isinstance(message, Item):
                self.items.append(message.value)
            else:
                self._answers.append(message)
        return said

    @property
    def is_done(self) -> bool:
        """Return whether there is a result to fetch, or never will be one."""
        self.listen()
        return bool(self._answers) or self.child.failed is not None or self.child.ended

    def result(self, timeout_s: float = DEADLINE_S) -> Any:
        """Return the result of the current call, or of making the object.

        Raise RemoteError where the process has given up or died, and TimeoutError where it hangs, as
        ``host.hang`` defines it.
        """
        waited = hang.outlast(
            self._wait, lambda: self.is_done, within_s=timeout_s, pids=lambda: [self.child.pid]
        )
        if self._answers:
            return self._answers.popleft().value
        if waited != "came":
            raise TimeoutError(f"no answer from {self.child.name} within {timeout_s:g} s: it is {waited}")
        raised = RemoteError(self.child.fault or f"{self.child.name} {self.child.how_it_ended()}")
        raised.add_note(self.child.failed.detail if self.child.failed else "")
        raise raised

    def call(self, call: Callable[..., object], *arguments: object) -> Any:
        """Begin, and wait for the result."""
        self.begin(call, *arguments)
        return self.result()

    def kill(self) -> None:
        """Kill the process where it runs (SIGKILL), and reap it."""
        self.child.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def leave(self) -> None:
        """Let the process end by itself. Raise BrokenPromise where it does not."""
        self.child.tell(None)
        require(self.child.wait_for_end(DEADLINE_S), f"{self.child.name} does not end after close()")
        require(self.exit_code == 0, f"{self.child.name} {self.child.how_it_ended()}")

    def _wait(self, until: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not until() and (left_s := deadline - time.monotonic()) > 0:
            self.listen(left_s)
        return until()


def _serve(parent: Link, role: Callable[..., Any], *arguments: object) -> None:
    target = role(*arguments)
    parent.send(Answer())
    while (order := parent.recv()) is not None:
        call, details = order
        value = call(target, *details)
        if isinstance(value, Iterator):
            for item in value:
                parent.send(Item(item))
            value = None
        parent.send(Answer(value))


def producer(channel: Channel, index: int) -> Producer:
    """Play the role of a producer."""
    return channel.producer(index)


def consumer(channel: Channel, index: int) -> Consumer:
    """Play the role of a consumer."""
    return channel.consumer(index)


def counter_client(counter: Counter, index: int) -> CounterClient:
    """Play the role of a counter's client."""
    return counter.client(index)


def held_counter_client(counter: Counter, index: int, gate: Barrier) -> CounterClient:
    """Play the role of a client that waits at the gate after the first read of its first increment."""
    waited = False

    def wait_once() -> None:
        nonlocal waited
        if not waited:
            waited = True
            gate.wait(GATE_WITHIN_S)

    client = counter.held_client(index, wait_once)
    assert client is not None
    return client


def counter_owner(counter: Counter) -> None:
    """Play the role of a counter's owner; return when told to stop."""
    counter.serve()


def send(end: Producer, bodies: Sequence[bytes], window: int) -> None:
    """Send these, with a flush after every ``window`` and at the end; so all are confirmed on return."""
    for number, body in enumerate(bodies, 1):
        end.send(body)
        if number % window == 0:
            end.flush()
    end.flush()


def send_lists_and_change_them(end: Producer, lists: Sequence[list[Any]]) -> None:
    """Send each list as an object, and empty it as soon as ``send()`` has returned."""
    send_object: Callable[[Any], object] = end.send
    for one in lists:
        send_object(one)
        one.clear()
    end.flush()


def send_unflushed(end: Producer, bodies: Sequence[bytes]) -> None:
    """Send these and leave it at that."""
    for body in bodies:
        end.send(body)


def close(end: Producer | Consumer | CounterClient) -> None:
    """Close it."""
    end.close()


def take(end: Consumer, count: int) -> list[bytes]:
    """Receive until there are so many, and acknowledge none."""
    taken: list[bytes] = []
    while len(taken) < count:
        taken += end.receive()
    return taken


def acknowledge(end: Consumer) -> None:
    """Acknowledge what it has received, if anything."""
    end.ack()


def receive(end: Consumer, count: int) -> list[bytes]:
    """Receive and acknowledge until there are so many."""
    taken: list[bytes] = []
    while len(taken) < count:
        taken += end.receive()
        if end.acknowledges:
            end.ack()
    return taken


def receive_until_stopped(end: Consumer) -> Iterator[list[bytes]]:
    """Receive, acknowledge and yield each batch until STOP comes; then close."""
    stopped = False
    while not stopped:
        batch = list(end.receive())
        if end.acknowledges:
            end.ack()
        stopped = STOP in batch
        yield [body for body in batch if body != STOP]
    end.close()


def increment(client: CounterClient, times: int) -> None:
    """Increment so often."""
    for _ in range(times):
        client.increment()


def read(client: CounterClient) -> int:
    """Read."""
    return client.read()


def stop_owner(client: CounterClient) -> None:
    """End the counter's owner."""
    client.stop_owner()


def exchange(
    producers: Sequence[Remote],
    consumers: Sequence[Remote],
    sent: Sequence[Sequence[bytes]],
    *,
    window: int,
    owed: int,
) -> list[list[bytes]]:
    """Let all producers send at once while all consumers receive; return what each consumer got, in order.

    Wait until ``owed`` messages have come, then until every consumer has taken a stop message behind them.
    """
    for end in consumers:
        end.begin(receive_until_stopped)
    for end, bodies in zip(producers, sent, strict=True):
        end.begin(send, bodies, window)

    def over() -> bool:
        failed = any(end.child.failed is not None or end.child.ended for end in producers)
        return failed or sum(len(batch) for end in consumers for batch in end.items) >= owed

    listen([*consumers, *producers], over, DEADLINE_S)
    for end in producers:
        end.result()
    deadline = time.monotonic() + DEADLINE_S
    while (going := [end for end in consumers if not end.is_done]) and time.monotonic() < deadline:
        producers[0].call(send, [STOP] * len(going), window)
        listen(going, lambda: all(end.is_done for end in consumers), STOP_ROUND_S)
    for end in consumers:
        end.result(0)
    return [[body for batch in end.items for body in batch] for end in consumers]


def listen(ends: Sequence[Remote], until: Callable[[], bool], within_s: float) -> None:
    """Take in what these say until a condition holds, none of them says more, or the time is over."""
    deadline = time.monotonic() + within_s
    while not until() and (left_s := deadline - time.monotonic()) > 0:
        going = [end for end in ends if not end.is_done]
        if not going:
            return
        if not until():
            supervisor.listen([end.child for end in going], left_s)
