"""The process of one worker: connect, say so, wait for the starting signal, play the role, report.

Parent and worker talk over a pipe of their own, never during the measured window::

    worker  Ready()                      connected
    parent  Go(start_ns, end_ns)         on the trial's clock
    worker  Done(count, stalled_s, ...)  the role is played; producers stay connected
    parent  Stop(n)                      to a producer: send n stop messages through the channel
    parent  Quit()                       to a producer: close
    worker  Failed(reason, detail)       instead of any of these

A worker ends when its parent is gone, ignores Ctrl-C (ending the trial is the parent's business), and when it
gets SIGUSR1 writes its Python stack into a file of its own and ends, so that a hang can be named.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Literal

import msgspec

from ipclab.backends.base import Channel, Counter, Producer
from ipclab.errors import ChannelError
from ipclab.host.clock import now_ns
from ipclab.host.interruptions import die_with_parent
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import roles
from ipclab.trial.message import STOP, tail, trial_mark
from ipclab.trial.pacing import wait_until
from ipclab.trial.rawlog import RawLog, ReceiptWatch
from ipclab.trial.spec import SAFETY_WORKLOADS, TrialSpec

Role = Literal["producer", "consumer", "pinger", "echoer", "adder", "owner", "stopper"]


class Ready(msgspec.Struct, frozen=True):
    """The worker is connected and waits for the starting signal."""


class Go(msgspec.Struct, frozen=True):
    """The starting signal: begin at ``start_ns``; send nothing new from ``end_ns`` on."""

    start_ns: int
    end_ns: int


class Stop(msgspec.Struct, frozen=True):
    """Send this many stop messages through the channel."""

    count: int


class Quit(msgspec.Struct, frozen=True):
    """Close and end."""


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """To a logged producer: send so many messages of this size, with a pause after each."""

    count: int
    size_bytes: int
    gap_s: float = 0.0


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The role is played: how many messages were confirmed (or received, or increments made)."""

    count: int
    stalled_s: float = 0.0
    skipped: int = 0
    final: int | None = None
    peak_rss_bytes: int = 0


class Failed(msgspec.Struct, frozen=True):
    """The backend raised an error: one line for the user, and the traceback."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """All that a worker is given. ``back`` is the channel of the echoes in a ping-pong trial."""

    role: Role
    index: int
    spec: TrialSpec
    logs: Path
    channel: Channel | None = None
    back: Channel | None = None
    counter: Counter | None = None
    due_ns: tuple[int, ...] = ()
    copies: int = 1
    place: int | None = None
    """Which of the channel's producers or consumers it is, where that is not its index."""
    patience_s: float = 0.0
    """Of a logged worker: how long it tries to connect again."""

    @property
    def content(self) -> str:
        """What the bytes of this trial's messages are made from."""
        return content(self.spec, self.channel.site.namespace if self.channel else "")

    @property
    def name(self) -> str:
        """``producer-0``: the worker's name in every message and in the names of its files."""
        return f"{self.role}-{self.index}"


def content(spec: TrialSpec, namespace: str) -> str:
    """What the bytes of a trial's messages are made from: other trials, other bytes."""
    return f"{spec.seed}/{namespace}" if namespace else str(spec.seed)


def tails(spec: TrialSpec, content: str) -> list[bytes]:
    """The tail of every producer's messages."""
    return [tail(content, producer, spec.size_bytes) for producer in range(spec.producers)]


def sends_path(logs: Path, name: str) -> Path:
    """The file in which this worker logs when it called ``send()`` or ``increment()``."""
    return logs / f"{name}.sends"


def returns_path(logs: Path, name: str) -> Path:
    """The file in which this worker logs when its calls returned."""
    return logs / f"{name}.returns"


def receipts_path(logs: Path, name: str) -> Path:
    """The file in which this worker logs what it received."""
    return logs / f"{name}.receipts"


def history_path(logs: Path, name: str) -> Path:
    """The file in which a logged worker logs its part of the history."""
    return logs / f"{name}.history"


def stack_path(logs: Path, name: str) -> Path:
    """The file into which this worker writes its stack when it gets SIGUSR1, before it ends."""
    return logs / f"{name}.stack"


def main(assignment: Assignment, parent: Connection) -> None:
    """Entry point of every worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    end_with_parent()
    with stack_path(assignment.logs, assignment.name).open("w") as stack:
        # Chained to the signal's default, which ends the process: so its end says that the stack is whole.
        faulthandler.register(signal.SIGUSR1, stack, all_threads=True, chain=True)
        # What was inherited by fork need not be looked at by the worker's garbage collector.
        gc.freeze()
        try:
            _role(assignment)(assignment, parent)
        except Exception as error:  # noqa: BLE001 - whatever the backend raises is a result
            failed = Failed(f"{assignment.name}: {_one_line(error)}", traceback.format_exc())
            with contextlib.suppress(OSError):
                parent.send(failed)
            # A feeder thread or a client that is stuck must not keep a worker that has given up.
            os._exit(1)
        finally:
            faulthandler.unregister(signal.SIGUSR1)


def _role(assignment: Assignment) -> Callable[[Assignment, Connection], None]:
    if assignment.spec.workload in SAFETY_WORKLOADS:
        from ipclab.trial.logged import ROLES

        return ROLES[assignment.role]
    return _ROLES[assignment.role]


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def end_with_parent() -> None:
    """From now on this worker ends when the lab is gone.

    Linux sees to that where the lab is the worker's parent, and reaches one that a fault has stopped as well;
    where a fork server stands in between, it takes a thread. That shows in the figures: in a process that has
    two, every system call on a file takes longer.
    """
    lab = multiprocessing.parent_process()
    assert lab is not None
    if sys.platform == "linux":
        die_with_parent(signal.SIGKILL)
        if os.getppid() == lab.pid:
            if not lab.is_alive():
                os._exit(1)
            return

    def watch() -> None:
        wait([lab.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="ends with the lab", daemon=True).start()


def _await_go(parent: Connection) -> Go:
    parent.send(Ready())
    go = parent.recv()
    assert isinstance(go, Go)
    wait_until(go.start_ns)
    return go


def _see_that_the_log_sufficed(sends: RawLog, go: Go) -> None:
    """Raise where a closed loop ended before its time: a rate over the whole window would be too small."""
    if now_ns() < go.end_ns:
        raise ChannelError(
            f"the log's room for {sends.capacity_bytes // 8} messages was used up before the time was over; "
            f"ask for a shorter --duration"
        )


def _produce(mine: Assignment, parent: Connection) -> None:
    spec, channel = mine.spec, mine.channel
    assert channel is not None
    body_tail = tail(mine.content, mine.index, spec.size_bytes)
    sends = RawLog(sends_path(mine.logs, mine.name))
    producer = channel.producer(mine.index)
    if spec.workload == "paced":
        returns = RawLog(returns_path(mine.logs, mine.name))
        go = _await_go(parent)
        count = roles.pace(
            producer,
            mine.index,
            body_tail,
            sends,
            returns,
            list(mine.due_ns),
            trial=trial_mark(mine.content),
            start_ns=go.start_ns,
            end_ns=go.end_ns,
        )
        done = Done(count=count, skipped=len(mine.due_ns) - count, peak_rss_bytes=own_peak_rss_bytes())
    else:
        backlog = roles.Backlog(
            sent=[RawLog(sends_path(mine.logs, f"producer-{i}"), watch=True) for i in range(spec.producers)],
            received=[ReceiptWatch(receipts_path(mine.logs, f"consumer-{i}")) for i in range(spec.consumers)],
            most=spec.backlog,
            copies=mine.copies,
        )
        go = _await_go(parent)
        count, stalled_ns = roles.saturate(
            producer,
            mine.index,
            body_tail,
            sends,
            backlog,
            trial=trial_mark(mine.content),
            window=spec.window,
            end_ns=go.end_ns,
        )
        _see_that_the_log_sufficed(sends, go)
        done = Done(count=count, stalled_s=stalled_ns / 1e9, peak_rss_bytes=own_peak_rss_bytes())
    parent.send(done)
    _stop_on_demand(producer, parent)


def _stop_on_demand(producer: Producer, parent: Connection) -> None:
    while isinstance(order := parent.recv(), Stop):
        for _ in range(order.count):
            producer.send(STOP)
        producer.flush()
    producer.close()


def _send_stops(mine: Assignment, parent: Connection) -> None:
    assert mine.channel is not None
    producer = mine.channel.producer(mine.index)
    parent.send(Ready())
    _stop_on_demand(producer, parent)


def _consume(mine: Assignment, parent: Connection) -> None:
    spec, channel = mine.spec, mine.channel
    assert channel is not None
    receipts = RawLog(receipts_path(mine.logs, mine.name))
    consumer = channel.consumer(mine.index)
    own_tails = tails(spec, mine.content)
    _await_go(parent)
    roles.consume(consumer, own_tails, receipts)
    parent.send(Done(count=receipts.progress[0], peak_rss_bytes=own_peak_rss_bytes()))
    consumer.close()


def _ping(mine: Assignment, parent: Connection) -> None:
    assert mine.channel is not None
    assert mine.back is not None
    sends = RawLog(sends_path(mine.logs, mine.name))
    returns = RawLog(returns_path(mine.logs, mine.name))
    producer = mine.channel.producer(0)
    consumer = mine.back.consumer(0)
    go = _await_go(parent)
    body_tail = tail(mine.content, 0, mine.spec.size_bytes)
    mark = trial_mark(mine.content)
    count = roles.ping(producer, consumer, body_tail, sends, returns, trial=mark, end_ns=go.end_ns)
    _see_that_the_log_sufficed(sends, go)
    parent.send(Done(count=count, peak_rss_bytes=own_peak_rss_bytes()))
    _stop_on_demand(producer, parent)
    consumer.close()


def _echo(mine: Assignment, parent: Connection) -> None:
    assert mine.channel is not None
    assert mine.back is not None
    consumer = mine.channel.consumer(0)
    producer = mine.back.producer(0)
    _await_go(parent)
    roles.echo(consumer, producer)
    parent.send(Done(count=0, peak_rss_bytes=own_peak_rss_bytes()))
    consumer.close()
    producer.close()


def _add(mine: Assignment, parent: Connection) -> None:
    assert mine.counter is not None
    sends = RawLog(sends_path(mine.logs, mine.name))
    client = mine.counter.client(mine.index)
    go = _await_go(parent)
    count = roles.add(client, sends, end_ns=go.end_ns)
    _see_that_the_log_sufficed(sends, go)
    parent.send(Done(count=count, peak_rss_bytes=own_peak_rss_bytes()))
    # The last one to be asked stays connected: it reads the final value, and ends the owner if there is one.
    while isinstance(parent.recv(), Stop):
        parent.send(Done(count=count, final=client.read()))
        client.stop_owner()
    client.close()


def _own(mine: Assignment, parent: Connection) -> None:
    assert mine.counter is not None
    _await_go(parent)
    mine.counter.serve()
    parent.send(Done(count=0, peak_rss_bytes=own_peak_rss_bytes()))


_ROLES = {
    "producer": _produce,
    "consumer": _consume,
    "pinger": _ping,
    "echoer": _echo,
    "adder": _add,
    "owner": _own,
    "stopper": _send_stops,
}
