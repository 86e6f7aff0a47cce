"""The common part of ``stream`` and ``paced``: producers send, consumers receive, all is counted."""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.backends.base import Channel, Guarantees, Site
from ipclab.backends.declared import server_pids
from ipclab.backends.registry import channel_class
from ipclab.host import hang
from ipclab.host.link import Link
from ipclab.hosts.placement import machine_of
from ipclab.trial import analysis, expiry
from ipclab.trial.analysis import Slack, Window, no_slack
from ipclab.trial.assignment import Assignment, OfChannel, content, tails
from ipclab.trial.drain import Arrivals, Progress, drain
from ipclab.trial.measurement import Findings, Measurement, dismiss, names, outlast, wait_for
from ipclab.trial.message import STOP, Originals, trial_mark
from ipclab.trial.orders import Quit, Stop
from ipclab.trial.pacing import planned
from ipclab.trial.processes import Crew
from ipclab.trial.spec import TrialSpec
from ipclab.trial.work_phase import settle, with_work
from ipclab.trial.worker import consume
from ipclab.trial.working import work

HAND_OVER_S = 2.0
"""Seconds without a receipt, at least, before producers are closed so that they deliver their buffers."""
STOP_ROUND_S = 0.25
"""A consumer that has not ended this long after a stop message is sent another one."""


class Messages(Measurement):
    """``produce`` is the role of each producer; ``due_ns`` has its send times, where it has a schedule."""

    leaders = ("producer",)
    produce: Callable[[Assignment[Any], Link], None]

    def __init__(self, spec: TrialSpec, site: Site, logs: Path) -> None:
        super().__init__(spec, site, logs)
        self.channel: Channel = channel_class(spec.backend)(site, **spec.backend.options)
        self.options = self.channel.chosen
        self.guarantees = self.channel.guarantees
        self.cores_wanted = spec.producers + spec.consumers
        self._before_stop: list[int] = []
        """The number of receipts of each consumer when all had arrived and stop messages were sent."""
        self.due_ns: dict[int, list[int]] = {}
        if spec.rate_per_s is not None:
            self.due_ns = {i: planned(spec, i) for i in range(spec.producers)}

    def hold_to(self, change: Callable[[Guarantees], Guarantees]) -> None:
        self.guarantees = change(self.channel.guarantees)

    def own_guarantees(self) -> Guarantees | None:
        return self.channel.guarantees

    def setup(self) -> None:
        self.channel.setup()

    def teardown(self) -> None:
        self.channel.teardown()

    def server_pids(self) -> tuple[int, ...]:
        return server_pids(self.channel)

    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        return self.guarantees.described()

    @abc.abstractmethod
    def part(self, producer: int) -> OfChannel:
        """Return what this producer is given besides."""

    def assignments(self) -> list[Assignment[Any]]:
        spec = self.spec
        made: list[Assignment[Any]] = []
        for i in range(spec.consumers):
            made.append(
                Assignment(
                    role="consumer",
                    play=work if spec.work else consume,
                    index=i,
                    spec=spec,
                    logs=self.logs,
                    part=OfChannel(channel=self.channel),
                )
            )
            self.create_logs(made[-1].name, stamps=("works",) if spec.work else (), receipts=True)
        for i in range(spec.producers):
            made.append(
                Assignment(
                    role="producer",
                    play=type(self).produce,
                    index=i,
                    spec=spec,
                    logs=self.logs,
                    part=self.part(i),
                )
            )
            self.create_logs(made[-1].name, stamps=("sends", "returns") if self.due_ns else ("sends",))
        return made

    def wind_up(self, crew: Crew) -> None:
        sent = [w.done.count for w in crew.by_role("producer") if w.done]
        made_from = content(self.spec, self.site.namespace)
        originals = Originals(tails(self.spec, made_from), trial_mark(made_from))
        fan_out = self.guarantees.fan_out
        consumers = self.spec.consumers
        with closing(
            Arrivals(self.logs, sent, originals, consumers, fan_out=fan_out, fetch=crew.fetch)
        ) as arrivals:
            self._drain(crew, arrivals)
            if arrivals.missing() and not crew.failures and self._hand_over(crew, keep=1):
                self._drain(crew, arrivals)
            if self.spec.work_fail_share and self.guarantees.delivery == "at-least-once":
                settle(crew, self, originals, sent, within_s=self.channel.redelivers_after_s)
            if not crew.failures:
                self._before_stop = [] if arrivals.missing() else arrivals.by_consumer()
                self._stop(crew, arrivals)

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

    def _hand_over(self, crew: Crew, *, keep: int) -> bool:
        """Close all producers except the first ``keep``, so that they deliver what they have buffered.

        Return whether there was one to close.
        """
        closing = [w for w in crew.by_role("producer")[keep:] if not w.ended]
        for member in closing:
            member.tell(Quit())
        outlast(self, crew, lambda: all(w.ended for w in closing), self.spec.grace_s)
        return bool(closing)

    def _stop(self, crew: Crew, arrivals: Arrivals) -> None:
        """Send stop messages until every consumer has taken one, then let the producers close.

        A consumer that still receives messages does not count as hung: the stop message is behind them.
        """
        consumers = crew.by_role("consumer")
        stopper = crew.by_role("producer")[0]
        going, stops, progress = consumers, 0, Progress(arrivals)
        grace_s = self.spec.grace_s
        floods = False
        while going and not crew.failures and progress.still_s(stops) < grace_s:
            if floods := progress.only_repeats(grace_s):
                break
            stopper.tell(Stop(len(going)))
            stops += len(going)
            going = wait_for(crew, consumers, STOP_ROUND_S)
            if going and progress.still_s(stops) > max(2 * self.spec.drain_s, HAND_OVER_S):
                # The stop messages may be in the producer's own buffer, behind everything that it has sent.
                self._hand_over(crew, keep=0)
                outlast(self, crew, lambda: all(w.settled for w in consumers), grace_s)
                going = [w for w in consumers if not w.settled]
                break
        if going and not floods:
            # Whoever is at work is slow: it gets some more time, and is not said to hang.
            outlast(self, crew, lambda: all(w.settled for w in going), 0.0, at_most_s=hang.SLOW_AT_MOST_S)
            going = [w for w in consumers if not w.settled]
        if going and not crew.failures:
            self.hang = f"{names(going)} did not end {grace_s:g} s after being told to"
            if self._before_stop and sum(arrivals.by_consumer()) > sum(self._before_stop):
                self.hang += (
                    ": the channel cannot carry these bytes, as other ones came in place of the stop message "
                    f"{STOP!r}"
                )
            return
        dismiss(crew, self)

    def _due_ns(self, producer: int, after_ns: npt.NDArray[np.int64], start_ns: int) -> npt.NDArray[np.int64]:
        """Return the schedule of a producer on the clock of the trial; the producer's clock kept it."""
        if self.clocks is None:
            return after_ns + start_ns
        return self.clocks.due_ns(machine_of(self.spec.placement, "producer", producer), after_ns)

    def _slack_ns(self, window: Window) -> Slack:
        """Return how far a receipt may be stamped before its send, by the clocks of their machines."""
        clocks, placement = self.clocks, self.spec.placement
        if clocks is None:
            return no_slack
        from_ns, to_ns = window.start_ns - int(self.spec.warmup_s * 1e9), window.end_ns

        def slack_ns(producer: int, consumer: int) -> int:
            machines = (
                machine_of(placement, "producer", producer),
                machine_of(placement, "consumer", consumer),
            )
            return clocks.bound_ns(*machines, from_ns, to_ns)

        return slack_ns

    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        start_ns = window.start_ns - int(self.spec.warmup_s * 1e9)
        found = analysis.delivery(
            self.spec,
            self.guarantees,
            self.logs,
            window,
            finished={w.name: w.done.count for w in crew.workers if w.done},
            due_ns={
                i: self._due_ns(i, np.asarray(due, np.int64), start_ns) for i, due in self.due_ns.items()
            },
            slack_ns=self._slack_ns(window),
            complete=complete,
            content=content(self.spec, self.site.namespace),
            before_stop=self._before_stop,
            drops=self.drops,
            expired=expiry.explains(self.guarantees, self.channel.expires_after_s, start_ns),
        )
        findings = Findings(
            count=found.good, received=found.received_in_window, latency=found.latency, ledger=found.ledger
        )
        return with_work(findings, self, crew, window, self.due_ns) if self.spec.work else findings
