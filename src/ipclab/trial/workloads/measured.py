"""The four shapes of traffic: which workers each needs, how it is wound up, and what its logs say."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ipclab.backends.base import Channel, Counter, OptionValue, Site
from ipclab.backends.registry import channel_class, counter_class
from ipclab.checks.counter import CounterVerdict
from ipclab.checks.counter import settle as settle_counter
from ipclab.checks.delivery import Ledger
from ipclab.trial import analysis, rawlog
from ipclab.trial.analysis import Window
from ipclab.trial.drain import Arrivals, Progress, drain
from ipclab.trial.message import Originals, trial_mark
from ipclab.trial.pacing import schedule
from ipclab.trial.processes import Crew, Worker
from ipclab.trial.record import Latency
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import (
    Assignment,
    Quit,
    Stop,
    content,
    receipts_path,
    returns_path,
    sends_path,
    tails,
)

MOST_PER_S = 1_500_000
"""No producer sends more than this. The logs have room for it; they are sparse, so room costs nothing."""
STOP_ROUND_S = 0.25
"""A consumer that has not ended this long after a stop message is sent another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the logs of a trial say; what a workload does not have stays empty."""

    count: int
    """Messages, round trips or increments within the window; of messages, the good ones."""
    received: int
    latency: Latency
    ledger: Ledger | None = None
    counter: CounterVerdict | None = None


class Workload(abc.ABC):
    """One kind of trial. ``hang`` says in one line what did not end in time, empty while all goes well."""

    leaders: ClassVar[tuple[str, ...]]
    """The roles whose reports end the sending."""
    cores_wanted: int
    options: Mapping[str, OptionValue]
    """All options of the backend, those that were left to their defaults too."""

    def __init__(self, spec: TrialSpec, site: Site, logs: Path) -> None:
        self.spec = spec
        self.site = site
        self.logs = logs
        self.hang = ""

    @abc.abstractmethod
    def setup(self) -> None:
        """Set up the backend."""

    @abc.abstractmethod
    def teardown(self) -> None:
        """Tear down the backend."""

    @abc.abstractmethod
    def server_pids(self) -> tuple[int, ...]:
        """Helper processes of the backend."""

    @abc.abstractmethod
    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        """What the backend declares, for the record."""

    @abc.abstractmethod
    def assignments(self) -> list[Assignment]:
        """One for each worker; their logs exist when it returns."""

    @abc.abstractmethod
    def wind_up(self, crew: Crew) -> None:
        """Drain, stop and collect after the leaders have reported; sets ``hang`` where that does not end."""

    @abc.abstractmethod
    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        """Read the logs."""

    def _create_logs(self, name: str, *, stamps: Sequence[str] = (), receipts: bool = False) -> None:
        seconds = self.spec.warmup_s + self.spec.duration_s + 1
        capacity = int(seconds * MOST_PER_S)
        for path in (p(self.logs, name) for p, kind in _STAMPS if kind in stamps):
            rawlog.create(path, 8, capacity)
        if receipts:
            record_bytes = rawlog.receipt_bytes(self.spec.size_bytes)
            rawlog.create(receipts_path(self.logs, name), record_bytes, capacity * self.spec.producers)


_STAMPS = ((sends_path, "sends"), (returns_path, "returns"))


def wait_for(crew: Crew, workers: Sequence[Worker], timeout_s: float) -> list[Worker]:
    """Listen until all of these have settled or somebody failed. Returns those that have not settled."""
    deadline = time.monotonic() + timeout_s
    while (open_ := [w for w in workers if not w.settled]) and not crew.failures:
        if (left_s := deadline - time.monotonic()) <= 0:
            break
        crew.listen(left_s)
    return open_


def _names(workers: Sequence[Worker]) -> str:
    return ", ".join(w.name for w in workers)


class Messages(Workload):
    """``stream`` and ``paced``: producers send, consumers receive."""

    leaders = ("producer",)

    def __init__(self, spec: TrialSpec, site: Site, logs: Path) -> None:
        super().__init__(spec, site, logs)
        self.channel: Channel = channel_class(spec.backend)(site, **spec.backend.options)
        self.options = self.channel.chosen
        self.guarantees = self.channel.guarantees
        self.cores_wanted = spec.producers + spec.consumers
        self.due_ns: dict[int, list[int]] = {}
        if spec.rate_per_s is not None:
            whole_ns = int((spec.warmup_s + spec.duration_s) * 1e9)
            self.due_ns = {
                i: schedule(
                    spec.rate_per_s,
                    whole_ns,
                    poisson=spec.arrivals == "poisson",
                    producer=i,
                    producers=spec.producers,
                    seed=spec.seed + spec.repeat,
                )
                for i in range(spec.producers)
            }

    def setup(self) -> None:
        self.channel.setup()

    def teardown(self) -> None:
        self.channel.teardown()

    def server_pids(self) -> tuple[int, ...]:
        return self.channel.server_pids()

    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        return self.guarantees.described()

    def assignments(self) -> list[Assignment]:
        spec = self.spec
        copies = spec.consumers if self.guarantees.fan_out else 1
        made = []
        for i in range(spec.consumers):
            made.append(Assignment(role="consumer", index=i, spec=spec, logs=self.logs, channel=self.channel))
            self._create_logs(made[-1].name, receipts=True)
        for i in range(spec.producers):
            made.append(
                Assignment(
                    role="producer",
                    index=i,
                    spec=spec,
                    logs=self.logs,
                    channel=self.channel,
                    due_ns=tuple(self.due_ns.get(i, ())),
                    copies=copies,
                )
            )
            self._create_logs(made[-1].name, stamps=("sends", "returns") if self.due_ns else ("sends",))
        return made

    def wind_up(self, crew: Crew) -> None:
        sent = [w.done.count for w in crew.by_role("producer") if w.done]
        made_from = content(self.spec, self.site.namespace)
        originals = Originals(tails(self.spec, made_from), trial_mark(made_from))
        fan_out = self.guarantees.fan_out
        with closing(Arrivals(self.logs, sent, originals, self.spec.consumers, fan_out=fan_out)) as arrivals:
            self._drain(crew, arrivals)
            if not crew.failures:
                self._stop(crew, Progress(arrivals))

    def _drain(self, crew: Crew, arrivals: Arrivals) -> None:
        def listen(seconds: float) -> bool:
            crew.listen(seconds)
            return not crew.failures

        drain(
            arrivals,
            listen,
            quiet_s=self.spec.drain_s,
            sending_s=self.spec.warmup_s + self.spec.duration_s,
            most_s=self.spec.grace_s,
        )

    def _stop(self, crew: Crew, progress: Progress) -> None:
        """Send stop messages until every consumer has taken one, then let the producers go.

        A consumer to which messages still come is not told to have hung: the stop is behind them.
        """
        consumers = crew.by_role("consumer")
        stopper = crew.by_role("producer")[0]
        going = consumers
        while going and not crew.failures and progress.still_s() < self.spec.grace_s:
            stopper.tell(Stop(len(going)))
            going = wait_for(crew, consumers, STOP_ROUND_S)
        if going and not crew.failures:
            self.hang = f"{_names(going)} did not end {self.spec.grace_s:g} s after being told to"
            return
        _dismiss(crew, self)

    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        start_ns = window.start_ns - int(self.spec.warmup_s * 1e9)
        found = analysis.delivery(
            self.spec,
            self.guarantees,
            self.logs,
            window,
            finished={w.name: w.done.count for w in crew.workers if w.done},
            due_ns={i: np.asarray(due, np.int64) + start_ns for i, due in self.due_ns.items()},
            complete=complete,
            content=content(self.spec, self.site.namespace),
        )
        return Findings(
            count=found.good, received=found.received_in_window, latency=found.latency, ledger=found.ledger
        )


class PingPong(Workload):
    """``ping-pong``: two channels of the backend, one message to and fro."""

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

    def setup(self) -> None:
        for channel in self.channels:
            channel.setup()

    def teardown(self) -> None:
        for channel in self.channels:
            channel.teardown()

    def server_pids(self) -> tuple[int, ...]:
        return self.channels[0].server_pids() + self.channels[1].server_pids()

    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        return self.channels[0].guarantees.described()

    def assignments(self) -> list[Assignment]:
        there, back = self.channels
        echoer = Assignment(role="echoer", index=0, spec=self.spec, logs=self.logs, channel=there, back=back)
        pinger = Assignment(role="pinger", index=0, spec=self.spec, logs=self.logs, channel=there, back=back)
        self._create_logs(pinger.name, stamps=("sends", "returns"))
        return [echoer, pinger]

    def wind_up(self, crew: Crew) -> None:
        (pinger,), echoers = crew.by_role("pinger"), crew.by_role("echoer")
        pinger.tell(Stop(1))
        if wait_for(crew, echoers, self.spec.grace_s) and not crew.failures:
            self.hang = f"echoer-0 did not end {self.spec.grace_s:g} s after being told to"
            return
        _dismiss(crew, self)

    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        count, latency, ledger = analysis.round_trips(self.logs, window)
        return Findings(count=count, received=count, latency=latency, ledger=ledger)


class Race(Workload):
    """``counter``: processes increment one number, and the number is compared with what they did."""

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
        return self.counter.server_pids()

    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        return {"discipline": self.counter.discipline, "safe": self.counter.safe, "reach": self.counter.reach}

    def assignments(self) -> list[Assignment]:
        spec, made = self.spec, []
        if self.counter.has_owner:
            made.append(Assignment(role="owner", index=0, spec=spec, logs=self.logs, counter=self.counter))
        for i in range(spec.producers):
            made.append(Assignment(role="adder", index=i, spec=spec, logs=self.logs, counter=self.counter))
            self._create_logs(made[-1].name, stamps=("sends",))
        return made

    def wind_up(self, crew: Crew) -> None:
        adders = crew.by_role("adder")
        adders[0].tell(Stop(1))
        deadline = time.monotonic() + self.spec.grace_s
        while (
            len(adders[0].reports) < 2 and not crew.failures and (left_s := deadline - time.monotonic()) > 0
        ):
            crew.listen(left_s)
        if len(adders[0].reports) < 2 and not crew.failures:
            self.hang = f"adder-0 could not read the final value within {self.spec.grace_s:g} s"
            return
        owners = crew.by_role("owner")
        if wait_for(crew, owners, self.spec.grace_s) and not crew.failures:
            self.hang = f"owner-0 did not end {self.spec.grace_s:g} s after being told to"
            return
        _dismiss(crew, self)

    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        count, latency = analysis.updates(self.spec, self.logs, window)
        adders = crew.by_role("adder")
        final = adders[0].reports[1].final if len(adders[0].reports) > 1 else None
        verdict = None
        if final is not None:
            verdict = settle_counter(
                sum(analysis.attempts(self.spec, self.logs)),
                sum(w.done.count for w in adders if w.done),
                final,
                safe=self.counter.safe,
            )
        return Findings(count=count, received=count, latency=latency, counter=verdict)


def _dismiss(crew: Crew, workload: Workload) -> None:
    """Let the leaders close their connections, and see every worker end."""
    for member in crew.by_role(*workload.leaders):
        member.tell(Quit())
    deadline = time.monotonic() + workload.spec.grace_s
    while (alive := [w for w in crew.workers if not w.ended]) and not crew.failures:
        if (left_s := deadline - time.monotonic()) <= 0:
            workload.hang = f"{_names(alive)} did not close within {workload.spec.grace_s:g} s"
            return
        crew.listen(left_s)


WORKLOADS: dict[str, type[Workload]] = {
    "stream": Messages,
    "paced": Messages,
    "ping-pong": PingPong,
    "counter": Race,
}
