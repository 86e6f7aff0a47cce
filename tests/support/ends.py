"""The ends of a channel, and the clients of a counter, each in a process of its own and led step by step."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Barrier
from typing import Any

from ipclab.backends.base import Channel, Consumer, Counter, CounterClient, Producer
from ipclab.host.start_methods import StartMethod, context

DEADLINE_S = 30.0
GATE_WITHIN_S = 20.0
STOP_ROUND_S = 0.5
STOP = b"-- end of test --"


class RemoteError(Exception):
    """What was raised in the process, as ``Type: message``; its traceback is in the notes."""


class Remote:
    """An object in another process. Calls of the functions below are sent to it and answered in turn."""

    def __init__(self, start_method: StartMethod, role: Callable[..., Any], *arguments: object) -> None:
        here = context(start_method)
        self.connection, theirs = here.Pipe()
        self.process = here.Process(target=_serve, args=(theirs, role, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.items: list[Any] = []
        """What calls that yield have yielded so far, as far as it was listened to."""
        self._answers: list[tuple[str, Any, str]] = []

    def begin(self, call: Callable[..., object], *arguments: object) -> None:
        """Start ``call(object, *arguments)`` over there; an iterator that it returns is run to its end."""
        self.connection.send((call, arguments))

    def listen(self) -> None:
        """Take in all that has been said, without waiting."""
        while not self._answers and self.connection.poll():
            kind, value, notes = self.connection.recv()
            if kind == "item":
                self.items.append(value)
            else:
                self._answers.append((kind, value, notes))

    @property
    def is_done(self) -> bool:
        """Return whether there is a result to fetch."""
        self.listen()
        return bool(self._answers)

    def result(self, timeout_s: float = DEADLINE_S) -> Any:
        """Return the result of the current call, or of making the object. Raise RemoteError."""
        deadline = time.monotonic() + timeout_s
        while not self.is_done:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self.connection.poll(left_s):
                raise TimeoutError(f"no answer from {self.process.name} within {timeout_s:g} s")
        kind, value, notes = self._answers.pop()
        if kind == "error":
            raised = RemoteError(value)
            raised.add_note(notes)
            raise raised
        return value

    def call(self, call: Callable[..., object], *arguments: object) -> Any:
        """Begin, and wait for the result."""
        self.begin(call, *arguments)
        return self.result()

    def kill(self) -> None:
        """Kill the process (SIGKILL), and reap it."""
        self.process.kill()
        self.process.join()

    def leave(self) -> None:
        """Let the process end by itself, and reap it."""
        self.connection.send(None)
        self.process.join(DEADLINE_S)
        assert self.process.exitcode == 0, f"{self.process.name} ended with {self.process.exitcode}"


def _serve(parent: Connection, role: Callable[..., Any], *arguments: object) -> None:
    try:
        target = role(*arguments)
        parent.send(("done", None, ""))
        while (order := parent.recv()) is not None:
            call, details = order
            value = call(target, *details)
            if isinstance(value, Iterator):
                for item in value:
                    parent.send(("item", item, ""))
                value = None
            parent.send(("done", value, ""))
    except EOFError:
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
        parent.send(("error", f"{type(error).__name__}: {error}", traceback.format_exc()))
        os._exit(1)


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
    listen(consumers, lambda: sum(len(b) for end in consumers for b in end.items) >= owed, DEADLINE_S)
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
    """Take in what these say until a condition holds, one of them fails, or the time is over."""
    deadline = time.monotonic() + within_s
    while not until() and (left_s := deadline - time.monotonic()) > 0:
        for end in ends:
            end.listen()
        going = [end.connection for end in ends if not end.is_done]
        if not going:
            return
        if not until():
            wait(going, left_s)
