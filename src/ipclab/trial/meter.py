"""Samples what everybody uses at the two ends of the measured window, from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipclab.brokers.base import Broker
from ipclab.trial.clock import now_ns
from ipclab.trial.resources import cpu_s, queued_s, rss_bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """What everybody has used so far: CPU seconds, and seconds in the run queue."""

    at_ns: int
    workers_cpu_s: Mapping[str, float | None]
    workers_queued_s: Mapping[str, float | None]
    broker_cpu_s: float | None
    broker_rss_bytes: int | None


class Meter:
    """Reads the CPU clocks of the workers, of the backend's helper processes and of the broker."""

    def __init__(self, pids: Mapping[str, int], helper_pids: tuple[int, ...], broker: Broker | None) -> None:
        self._pids = pids
        self._helper_pids = helper_pids
        self._broker = broker

    def sample(self) -> Sample:
        """One reading. The broker comes first: asking a container takes some milliseconds."""
        broker_cpu_s, broker_rss_bytes = self._read_broker()
        at_ns = now_ns()
        workers = {name: cpu_s(pid) for name, pid in self._pids.items()}
        queued = {name: queued_s(pid) for name, pid in self._pids.items()}
        return Sample(at_ns, workers, queued, broker_cpu_s, broker_rss_bytes)

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
