"""The process of one worker: connect, say so, wait for the starting signal, play the role, report.

What it says and hears is in ``orders``. How every child process of the lab behaves (it ends with the lab,
ignores Ctrl-C, writes its stack on demand, and says how it ended) is in ``host.child``.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from ipclab.backends.base import Producer
from ipclab.errors import ChannelError
from ipclab.host.clock import now_ns
from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import roles
from ipclab.trial.assignment import (
    Assignment,
    Role,
    content,
    history_path,
    receipts_path,
    returns_path,
    sends_path,
    tails,
)
from ipclab.trial.backlog import Backlog
from ipclab.trial.message import STOP, tail, trial_mark
from ipclab.trial.orders import Burst, Done, Go, Quit, Ready, Stop
from ipclab.trial.pacing import wait_until
from ipclab.trial.rawlog import RawLog, ReceiptWatch
from ipclab.trial.spec import SAFETY_WORKLOADS

__all__ = [
    "Assignment",
    "Burst",
    "Done",
    "Go",
    "Quit",
    "Ready",
    "Role",
    "Stop",
    "content",
    "history_path",
    "main",
    "receipts_path",
    "returns_path",
    "sends_path",
    "tails",
]


def main(parent: Link, assignment: Assignment) -> None:
    """Play the role of this assignment; what every worker process runs."""
    # What was inherited by fork need not be looked at by the worker's garbage collector.
    gc.freeze()
    _role(assignment)(assignment, parent)


def _role(assignment: Assignment) -> Callable[[Assignment, Link], None]:
    if assignment.spec.workload in SAFETY_WORKLOADS:
        from ipclab.trial.logged import ROLES

        return ROLES[assignment.role]
    return _ROLES[assignment.role]


def _await_go(parent: Link) -> Go:
    parent.send(Ready())
    go = parent.recv()
    assert isinstance(go, Go)
    wait_until(go.start_ns)
    return go


def _require_log_capacity(sends: RawLog, go: Go) -> None:
    """Raise where a closed loop ended before its time: a rate over the whole window would be too small."""
    if now_ns() < go.end_ns:
        raise ChannelError(
            f"the log's room for {sends.capacity_bytes // 8} messages was used up before the time was over; "
            f"ask for a shorter --duration"
        )


def _produce(mine: Assignment, parent: Link) -> None:
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
        backlog = Backlog(
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
        _require_log_capacity(sends, go)
        done = Done(
            count=count,
            stalled_s=stalled_ns / 1e9,
            overtaken=backlog.written_off,
            probes=backlog.probes * spec.window,
            peak_rss_bytes=own_peak_rss_bytes(),
        )
    parent.send(done)
    _stop_on_demand(producer, parent)


def _stop_on_demand(producer: Producer, parent: Link) -> None:
    while isinstance(order := parent.recv(), Stop):
        for _ in range(order.count):
            producer.send(STOP)
        producer.flush()
    producer.close()


def _send_stops(mine: Assignment, parent: Link) -> None:
    assert mine.channel is not None
    producer = mine.channel.producer(mine.index)
    parent.send(Ready())
    _stop_on_demand(producer, parent)


def _consume(mine: Assignment, parent: Link) -> None:
    spec, channel = mine.spec, mine.channel
    assert channel is not None
    receipts = RawLog(receipts_path(mine.logs, mine.name))
    consumer = channel.consumer(mine.index)
    own_tails = tails(spec, mine.content)
    _await_go(parent)
    roles.consume(consumer, own_tails, receipts)
    parent.send(Done(count=receipts.progress[0], peak_rss_bytes=own_peak_rss_bytes()))
    consumer.close()


def _ping(mine: Assignment, parent: Link) -> None:
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
    _require_log_capacity(sends, go)
    parent.send(Done(count=count, peak_rss_bytes=own_peak_rss_bytes()))
    _stop_on_demand(producer, parent)
    consumer.close()


def _echo(mine: Assignment, parent: Link) -> None:
    assert mine.channel is not None
    assert mine.back is not None
    consumer = mine.channel.consumer(0)
    producer = mine.back.producer(0)
    _await_go(parent)
    roles.echo(consumer, producer)
    parent.send(Done(count=0, peak_rss_bytes=own_peak_rss_bytes()))
    consumer.close()
    producer.close()


def _add(mine: Assignment, parent: Link) -> None:
    assert mine.counter is not None
    sends = RawLog(sends_path(mine.logs, mine.name))
    client = mine.counter.client(mine.index)
    go = _await_go(parent)
    count = roles.add(client, sends, end_ns=go.end_ns)
    _require_log_capacity(sends, go)
    parent.send(Done(count=count, peak_rss_bytes=own_peak_rss_bytes()))
    # The last one to be asked stays connected: it reads the final value, and ends the owner if there is one.
    while isinstance(parent.recv(), Stop):
        parent.send(Done(count=count, final=client.read()))
        client.stop_owner()
    client.close()


def _own(mine: Assignment, parent: Link) -> None:
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
