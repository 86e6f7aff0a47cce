"""Samples of a trial on several machines: each agent reads its own machine, this process reads the broker."""

from __future__ import annotations

import time
from collections.abc import Collection

from ipclab.brokers.base import Broker
from ipclab.host.clock import now_ns
from ipclab.trial.machines.crew import RemoteCrew
from ipclab.trial.machines.words import Sampled
from ipclab.trial.meter import SLACK_NS, Meter, Sample


class RemoteMeter(Meter):
    """Reads the broker, and takes the readings of the agents. ``readings`` has those, for each sample."""

    def __init__(self, crew: RemoteCrew, helper_pids: Collection[int], broker: Broker | None) -> None:
        super().__init__({}, helper_pids, broker)
        self._crew = crew
        self.readings: list[dict[int, Sampled]] = crew.readings

    def sample(self, moment_ns: int) -> Sample:
        """Return one reading for this moment; call it ``lead_ns`` before the moment. It returns after it."""
        began_ns = now_ns()
        in_time = began_ns + self.lead_ns < moment_ns + SLACK_NS
        broker = self._read_broker() if in_time else None
        broker_at_ns = (began_ns + now_ns()) // 2
        while (left_ns := moment_ns - now_ns()) > 0:
            self._crew.listen(left_ns / 1e9)
        found = self._crew.sampled()
        self.readings.append(found)
        late_ns = sum(one.late_ns for one in found.values()) // max(len(found), 1)
        cpu = {name: seconds for one in found.values() for name, seconds in one.cpu_s.items()}
        queued = {name: seconds for one in found.values() for name, seconds in one.queued_s.items()}
        return Sample(moment_ns + late_ns, cpu, queued, broker_at_ns, broker, {}, None, time.process_time())
