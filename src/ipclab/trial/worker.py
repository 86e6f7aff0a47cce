"""The process of one worker: connect, report that, wait for the starting signal, play the role, report.

Its messages are in ``orders``. How every child process of the lab behaves (it ends with the lab, ignores
Ctrl-C, writes its stack on demand, and reports how it ended) is in ``host.child``.
"""

from __future__ import annotations

import gc
from typing import Any

from ipclab.backends.base import Producer
from ipclab.errors import ChannelError
from ipclab.host.clock import now_ns
from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import ends, roles
from ipclab.trial.assignment import (
    Assignment,
    OfChannel,
    Role,
    content,
    history_path,
    receipts_path,
    returns_path,
    sends_path,
    tails,
)
from ipclab.trial.message import STOP
from ipclab.trial.orders import Burst, Done, Go, Quit, Ready, Stop
from ipclab.trial.pacing import wait_until
from ipclab.trial.rawlog import RawLog

__all__ = [
    "Assignment",
    "Burst",
    "Done",
    "Go",
    "OfChannel",
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


def main(parent: Link, assignment: Assignment[Any]) -> None:
    """Play the role of this assignment; the main function of every worker process."""
    # The worker's garbage collector need not visit objects inherited by fork.
    gc.freeze()
    assignment.play(assignment, parent)


def await_go(parent: Link) -> Go:
    """Report that this worker is connected; return the starting signal at the moment of the start."""
    parent.send(Ready())
    go = parent.recv()
    assert isinstance(go, Go)
    wait_until(go.start_ns)
    return go


def require_log_capacity(sends: RawLog, go: Go) -> None:
    """Raise ChannelError where a closed loop ended too early, so that its rate would be too low."""
    if now_ns() < go.end_ns:
        raise ChannelError(
            f"the log's room for {sends.capacity_bytes // 8} messages was used up before the window ended; "
            f"choose a shorter --duration"
        )


def stop_on_demand(producer: Producer, parent: Link) -> None:
    """Send as many stop messages as the parent asks for, until it lets this worker go; then close."""
    while isinstance(order := parent.recv(), Stop):
        for _ in range(order.count):
            producer.send(STOP)
        producer.flush()
    producer.close()


def consume(mine: Assignment[OfChannel], parent: Link) -> None:
    """Play the role of a consumer: receive until a stop message comes."""
    receipts = RawLog(receipts_path(mine.logs, mine.name))
    consumer = ends.consumer(mine, mine.part.channel)
    own_tails = tails(mine.spec, mine.content)
    await_go(parent)
    roles.consume(consumer, own_tails, receipts)
    parent.send(Done(count=receipts.progress[0], peak_rss_bytes=own_peak_rss_bytes(), **ends.spent(consumer)))
    consumer.close()
