"""``stream``: producers send as fast as they can; a closed loop with a bound on the backlog."""

from __future__ import annotations

from dataclasses import dataclass

from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import ends, roles
from ipclab.trial.assignment import Assignment, OfChannel, receipts_path, sends_path
from ipclab.trial.backlog import STILL_FAR_NS, STILL_NS, Backlog
from ipclab.trial.message import tail, trial_mark
from ipclab.trial.orders import Done
from ipclab.trial.rawlog import RawLog, ReceiptWatch
from ipclab.trial.worker import await_go, require_log_capacity, stop_on_demand
from ipclab.trial.workload import MESSAGES, SHAPE, TIMES, WORK, Workload, used_as
from ipclab.trial.workloads.measured import Messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturating(OfChannel):
    """``copies`` is how many consumers get each message."""

    copies: int


def saturate(mine: Assignment[Saturating], parent: Link) -> None:
    """Play the role of a producer that sends as fast as it can."""
    spec = mine.spec
    body_tail = tail(mine.content, mine.index, spec.body_bytes)
    sends = RawLog(sends_path(mine.logs, mine.name))
    producer = ends.producer(mine, mine.part.channel)
    backlog = Backlog(
        sent=[RawLog(sends_path(mine.logs, f"producer-{i}"), watch=True) for i in range(spec.producers)],
        received=[ReceiptWatch(receipts_path(mine.logs, f"consumer-{i}")) for i in range(spec.consumers)],
        most=spec.backlog,
        copies=mine.part.copies,
        first_still_ns=STILL_FAR_NS if spec.placement else STILL_NS,
    )
    go = await_go(parent)
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
    require_log_capacity(sends, go)
    done = Done(
        count=count,
        stalled_s=stalled_ns / 1e9,
        overtaken=backlog.written_off,
        probes=backlog.probes * spec.window,
        peak_rss_bytes=own_peak_rss_bytes(),
        **ends.spent(producer),
    )
    parent.send(done)
    stop_on_demand(producer, parent)


class _Stream(Messages):
    produce = staticmethod(saturate)

    def part(self, producer: int) -> Saturating:
        copies = self.spec.consumers if self.guarantees.fan_out else 1
        return Saturating(channel=self.channel, copies=copies)


STREAM = Workload(
    name="stream",
    summary="producers send as fast as it goes",
    face=used_as("channel"),
    options=SHAPE | MESSAGES | TIMES | WORK,
    measure=_Stream,
    bounded=True,
    rate_field="goodput_per_s",
    tells_cost=True,
)
