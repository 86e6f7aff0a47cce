"""Samples what everybody uses at the two ends of the measured window, from outside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ipclab.brokers.base import Broker
from ipclab.host.clock import now_ns
from ipclab.host.resources import cpu_s, queued_s, rss_bytes

MARGIN = 1.5
"""A reading of the broker takes longer while all are at work, by about so much."""
SLACK_NS = 50_000_000
"""How much too late a reading of the broker may begin."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What everybody has used so far: CPU seconds, and seconds in the run queue.

    The workers were read at ``at_ns``, the broker at ``broker_at_ns``.
    """

    at_ns: int
    workers_cpu_s: Mapping[str, float | None]
    workers_queued_s: Mapping[str, float | None]
    broker_at_ns: int
    broker_cpu_s: float | None
    broker_rss_bytes: int | None


class Meter:
    """Reads the CPU clocks of the workers, of the backend's helper processes and of the broker.

    The clock of a worker is read within microseconds, that of a broker within tens of milliseconds, so a
    reading of the broker begins ``lead_ns`` before the moment that it is for. Were it begun at that moment,
    the last one would take in a time in which nobody sends any more. Making a meter takes a reading.
    """

    def __init__(self, pids: Mapping[str, int], helper_pids: tuple[int, ...], broker: Broker | None) -> None:
        self._pids = pids
        self._helper_pids = helper_pids
        self._broker = broker
        began_ns = now_ns()
        self._read_broker()
        self.lead_ns = int((now_ns() - began_ns) * MARGIN)

    def sample(self, moment_ns: int) -> Sample:
        """One reading for this moment, to be called ``lead_ns`` before it; returns after it."""
        began_ns = now_ns()
        # An engine may take a second for its answer: better none than the workers read long after the moment.
        in_time = began_ns + self.lead_ns < moment_ns + SLACK_NS
        broker_cpu_s, broker_rss_bytes = self._read_broker() if in_time else (None, None)
        broker_at_ns = (began_ns + now_ns()) // 2
        time.sleep(max(moment_ns - now_ns(), 0) / 1e9)
        at_ns = now_ns()
        workers = {name: cpu_s(pid) for name, pid in self._pids.items()}
        queued = {name: queued_s(pid) for name, pid in self._pids.items()}
        return Sample(at_ns, workers, queued, broker_at_ns, broker_cpu_s, broker_rss_bytes)

    def _read_broker(self) -> tuple[float | None, int | None]:
        if self._broker is not None:
            usage = self._broker.usage()
            return (usage.cpu_s, usage.rss_bytes) if usage else (None, None)
        if not self._helper_pids:
            return None, None
        cpu = [cpu_s(pid) for pid in self._helper_pids]
        rss = [rss_bytes(pid) for pid in self._helper_pids]
        known_cpu = [c for c in cpu if c is not None]
        return (sum(known_cpu) if len(known_cpu) == len(cpu) else None), sum(r for r in rss if r is not None)
