"""``ping-pong``: one message and its echo between two processes; a closed loop, for round trips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ipclab.backends.base import Channel, Guarantees, Site
from ipclab.backends.declared import server_pids
from ipclab.backends.registry import channel_class
from ipclab.errors import UsageError
from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import analysis, ends, roles
from ipclab.trial.analysis import Window
from ipclab.trial.assignment import Assignment, returns_path, sends_path
from ipclab.trial.measurement import Findings, Measurement, dismiss, outlast
from ipclab.trial.message import tail, trial_mark
from ipclab.trial.orders import Done, Stop
from ipclab.trial.processes import Crew
from ipclab.trial.rawlog import RawLog
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import await_go, require_log_capacity, stop_on_demand
from ipclab.trial.workload import MESSAGES, SHAPE, TIMES, Workload, used_as


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAndFro:
    """The messages go ``there``, their echoes come ``back``."""

    there: Channel
    back: Channel

    @property
    def backend(self) -> Channel:
        """Return the channel of the messages."""
        return self.there


def ping(mine: Assignment[ToAndFro], parent: Link) -> None:
    """Play the role of the process that sends a message and waits for its echo."""
    sends = RawLog(sends_path(mine.logs, mine.name))
    returns = RawLog(returns_path(mine.logs, mine.name))
    producer = ends.producer(mine, mine.part.there)
    consumer = ends.consumer(mine, mine.part.back)
    go = await_go(parent)
    body_tail = tail(mine.content, 0, mine.spec.body_bytes)
    mark = trial_mark(mine.content)
    count = roles.ping(producer, consumer, body_tail, sends, returns, trial=mark, end_ns=go.end_ns)
    require_log_capacity(sends, go)
    parent.send(Done(count=count, peak_rss_bytes=own_peak_rss_bytes(), **ends.spent(producer, consumer)))
    stop_on_demand(producer, parent)
    consumer.close()


def echo(mine: Assignment[ToAndFro], parent: Link) -> None:
    """Play the role of the process that sends every message back."""
    consumer = ends.consumer(mine, mine.part.there)
    producer = ends.producer(mine, mine.part.back)
    await_go(parent)
    roles.echo(consumer, producer)
    parent.send(Done(count=0, peak_rss_bytes=own_peak_rss_bytes(), **ends.spent(producer, consumer)))
    consumer.close()
    producer.close()


class PingPong(Measurement):
    """``ping-pong``: two channels of the backend, one message and its echo."""

    leaders = ("pinger",)
    cores_wanted = 2

    def __init__(self, spec: TrialSpec, site: Site, logs: Path) -> None:
        super().__init__(spec, site, logs)
        there, back = (
            Site(**{**asdict(site), "namespace": f"{site.namespace}:{way}"}) for way in ("there", "back")
        )
        make = channel_class(spec.backend)
        self.channels: tuple[Channel, Channel] = (
            make(there, **spec.backend.options),
            make(back, **spec.backend.options),
        )
        self.options = self.channels[0].chosen
        self.guarantees = self.channels[0].guarantees

    def setup(self) -> None:
        for channel in self.channels:
            channel.setup()

    def teardown(self) -> None:
        for channel in self.channels:
            channel.teardown()

    def hold_to(self, change: Callable[[Guarantees], Guarantees]) -> None:
        self.guarantees = change(self.channels[0].guarantees)

    def server_pids(self) -> tuple[int, ...]:
        return server_pids(self.channels[0]) + server_pids(self.channels[1])

    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        return self.guarantees.described()

    def assignments(self) -> list[Assignment[Any]]:
        there, back = self.channels
        part = ToAndFro(there=there, back=back)
        echoer = Assignment(role="echoer", play=echo, index=0, spec=self.spec, logs=self.logs, part=part)
        pinger = Assignment(role="pinger", play=ping, index=0, spec=self.spec, logs=self.logs, part=part)
        self.create_logs(pinger.name, stamps=("sends", "returns"))
        return [echoer, pinger]

    def wind_up(self, crew: Crew) -> None:
        (pinger,), echoers = crew.by_role("pinger"), crew.by_role("echoer")
        pinger.tell(Stop(1))
        if not outlast(self, crew, lambda: all(w.settled for w in echoers), self.spec.grace_s):
            self.hang = f"echoer-0 did not end {self.spec.grace_s:g} s after being told to"
            return
        dismiss(crew, self)

    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        count, latency, ledger = analysis.round_trips(self.logs, window)
        return Findings(count=count, received=count, latency=latency, ledger=ledger)


def _check(spec: TrialSpec) -> None:
    if (spec.producers, spec.consumers, spec.window) != (1, 1, 1):
        raise UsageError("a ping-pong is between two processes, one message at a time")


PING_PONG = Workload(
    name="ping-pong",
    summary="one message to and fro",
    face=used_as("channel"),
    options=SHAPE | MESSAGES | TIMES,
    check=_check,
    measure=PingPong,
    rate_field="round_trips_per_s",
    latencies=("round_trip",),
    tells_cost=True,
    messages_per_count=2,
)
