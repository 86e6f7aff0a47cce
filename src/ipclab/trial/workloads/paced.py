"""``paced``: producers send at a given rate, whatever arrives; an open loop, for latencies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import ends, roles
from ipclab.trial.assignment import Assignment, OfChannel, returns_path, sends_path
from ipclab.trial.message import tail, trial_mark
from ipclab.trial.orders import Done
from ipclab.trial.pacing import waiter
from ipclab.trial.rawlog import RawLog
from ipclab.trial.worker import await_go, stop_on_demand
from ipclab.trial.workload import MESSAGES, SHAPE, TIMES, WORK, Workload, used_as
from ipclab.trial.workloads.measured import Messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing(OfChannel):
    """``due_ns`` has the scheduled time of each message, after the start."""

    due_ns: tuple[int, ...]


def pace(mine: Assignment[Pacing], parent: Link) -> None:
    """Play the role of a producer that sends at its scheduled times."""
    body_tail = tail(mine.content, mine.index, mine.spec.body_bytes)
    sends = RawLog(sends_path(mine.logs, mine.name))
    producer = ends.producer(mine, mine.part.channel)
    returns = RawLog(returns_path(mine.logs, mine.name))
    due_ns = list(mine.part.due_ns)
    window = mine.spec.window
    play = roles.pace if window == 1 else partial(roles.pace_batches, window=window)
    wait = waiter(due_ns)
    go = await_go(parent)
    count = play(
        producer,
        mine.index,
        body_tail,
        sends,
        returns,
        due_ns,
        trial=trial_mark(mine.content),
        start_ns=go.start_ns,
        end_ns=go.end_ns,
        wait=wait,
    )
    done = Done(
        count=count,
        skipped=len(due_ns) - count,
        peak_rss_bytes=own_peak_rss_bytes(),
        **ends.spent(producer),
    )
    parent.send(done)
    stop_on_demand(producer, parent)


class _Paced(Messages):
    produce = staticmethod(pace)

    def part(self, producer: int) -> Pacing:
        return Pacing(channel=self.channel, due_ns=tuple(self.due_ns.get(producer, ())))


PACED = Workload(
    name="paced",
    summary="producers send at a given rate",
    face=used_as("channel"),
    options=SHAPE | MESSAGES | TIMES | WORK | {"rate_per_s", "arrivals", "legs"},
    measure=_Paced,
    open_loop=True,
    rate_field="carried_per_s",
    latencies=("end_to_end", "service"),
)
