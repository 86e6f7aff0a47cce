"""``counter``: processes increment one number, which is then compared with the confirmed increments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipclab.backends import checked
from ipclab.backends.base import Counter, Site
from ipclab.backends.declared import server_pids
from ipclab.backends.registry import counter_class
from ipclab.checks.counter import settle
from ipclab.host.link import Link
from ipclab.host.resources import own_peak_rss_bytes
from ipclab.trial import analysis, roles
from ipclab.trial.analysis import Window
from ipclab.trial.assignment import Assignment, sends_path
from ipclab.trial.measurement import Findings, Measurement, dismiss, outlast
from ipclab.trial.orders import Done, Stop
from ipclab.trial.processes import Crew
from ipclab.trial.rawlog import RawLog
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import await_go, require_log_capacity
from ipclab.trial.workload import PRODUCERS, TIMES, Workload, used_as


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCounter:
    """The part of a worker that increments a counter or owns it."""

    counter: Counter

    @property
    def backend(self) -> Counter:
        """Return the counter."""
        return self.counter


def add(mine: Assignment[OfCounter], parent: Link) -> None:
    """Play the role of a process that increments the counter; the first one reads the final value."""
    counter = mine.part.counter
    sends = RawLog(sends_path(mine.logs, mine.name))
    client = checked.counter_client(counter, counter.client(mine.index))
    go = await_go(parent)
    count = roles.add(client, sends, end_ns=go.end_ns)
    require_log_capacity(sends, go)
    parent.send(Done(count=count, peak_rss_bytes=own_peak_rss_bytes()))
    # The last one stays connected: it reads the final value, and ends the owner if there is one.
    while isinstance(parent.recv(), Stop):
        parent.send(Done(count=count, final=client.read()))
        client.stop_owner()
    client.close()


def own(mine: Assignment[OfCounter], parent: Link) -> None:
    """Play the role of the process that owns the counter, where the discipline has one."""
    await_go(parent)
    mine.part.counter.serve()
    parent.send(Done(count=0, peak_rss_bytes=own_peak_rss_bytes()))


class Increments(Measurement):
    """``counter``: processes increment one number, which is then compared with the confirmed increments."""

    leaders = ("adder",)

    def __init__(self, spec: TrialSpec, site: Site, logs: Path) -> None:
        super().__init__(spec, site, logs)
        self.counter: Counter = counter_class(spec.backend)(site, **spec.backend.options)
        self.options = self.counter.chosen
        self.cores_wanted = spec.producers + self.counter.has_owner

    def setup(self) -> None:
        self.counter.setup()

    def teardown(self) -> None:
        self.counter.teardown()

    def server_pids(self) -> tuple[int, ...]:
        return server_pids(self.counter)

    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        return {"discipline": self.counter.discipline, "safe": self.counter.safe, "reach": self.counter.reach}

    def assignments(self) -> list[Assignment[Any]]:
        spec, part = self.spec, OfCounter(counter=self.counter)
        made: list[Assignment[Any]] = []
        if self.counter.has_owner:
            made.append(Assignment(role="owner", play=own, index=0, spec=spec, logs=self.logs, part=part))
        for i in range(spec.producers):
            made.append(Assignment(role="adder", play=add, index=i, spec=spec, logs=self.logs, part=part))
            self.create_logs(made[-1].name, stamps=("sends",))
        return made

    def wind_up(self, crew: Crew) -> None:
        adders = crew.by_role("adder")
        adders[0].tell(Stop(1))
        if not outlast(self, crew, lambda: len(adders[0].reports) > 1, self.spec.grace_s):
            self.hang = f"adder-0 could not read the final value within {self.spec.grace_s:g} s"
            return
        owners = crew.by_role("owner")
        if not outlast(self, crew, lambda: all(w.settled for w in owners), self.spec.grace_s):
            self.hang = f"owner-0 did not end {self.spec.grace_s:g} s after being told to"
            return
        dismiss(crew, self)

    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        count, latency = analysis.updates(self.spec, self.logs, window)
        adders = crew.by_role("adder")
        final = adders[0].reports[1].final if len(adders[0].reports) > 1 else None
        verdict = None
        if final is not None:
            verdict = settle(
                sum(analysis.attempts(self.spec, self.logs)),
                sum(w.done.count for w in adders if w.done),
                final,
                safe=self.counter.safe,
            )
        return Findings(count=count, received=count, latency=latency, counter=verdict)


COUNTER = Workload(
    name="counter",
    summary="processes increment one number",
    face=used_as("counter"),
    options=PRODUCERS | TIMES,
    measure=Increments,
    rate_field="updates_per_s",
    latencies=("update",),
    tells_cost=True,
)
