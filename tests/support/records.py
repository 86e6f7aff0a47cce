"""Hand-made trial records: what a run could leave behind, good and bad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ipclab.backends.registry import Variant
from ipclab.checks.counter import settle
from ipclab.checks.delivery import Ledger
from ipclab.host.clock import ClockTest
from ipclab.results.result import SCHEMA_VERSION, Environment, Result, Unavailable
from ipclab.trial.distribution import summarize
from ipclab.trial.record import BrokerFacts, Cost, Latency, ProcessCost, Safety, TrialRecord
from ipclab.trial.spec import TrialSpec
from tests.support.safety import breach

MANY = 20_000
AT_MOST_ONCE: dict[str, Any] = {
    "delivery": "at-most-once",
    "may_lose": ["consumer crash"],
    "order": "per-producer",
    "durability": "none",
    "confirm": "written",
    "reach": "process tree",
    "max_message_bytes": None,
    "fan_out": False,
    "polling": False,
}
DURABLE = AT_MOST_ONCE | {
    "delivery": "at-least-once",
    "may_lose": [],
    "durability": "disk",
    "confirm": "broker",
    "reach": "network",
}


class Make:
    """Makes records; each keyword has a value that makes a good one."""

    at_most_once = AT_MOST_ONCE
    durable = DURABLE

    def spec(self, workload: str, backend: str, **fields: Any) -> TrialSpec:
        return TrialSpec(workload=workload, backend=Variant.parse(backend), **fields)

    def ledger(self, **counts: Any) -> Ledger:
        names = ("attempted", "confirmed", "owed", "received", "lost", "recovered", "duplicated")
        whole = dict.fromkeys((*names, "unexpected", "corrupted", "reordered"), 0)
        broken = [breach(line) for line in counts.pop("broken", [])]
        return Ledger(
            **(whole | counts), verdict="invalid" if broken else "valid", broken=broken, examples={}
        )

    def bad_ledger(self) -> Ledger:
        """Return a ledger that lost a message which it should not have."""
        return self.ledger(
            attempted=9, confirmed=9, owed=9, received=8, lost=1, broken=["lost 1 confirmed messages"]
        )

    def cost(self, *, broker_cpu_s: float | None = None, wanted: int = 2) -> Cost:
        workers = [
            ProcessCost(name=name, cpu_s=0.5, queued_s=0.0, peak_rss_bytes=2**25)
            for name in ("producer-0", "consumer-0")
        ]
        return Cost(
            interval_s=1.0,
            workers=workers,
            broker_cpu_s=broker_cpu_s,
            broker_rss_bytes=None,
            stalled_s=0.0,
            cores=2,
            wanted_cores=wanted,
        )

    def stream(self, backend: str, rate: float, *, repeat: int = 0, **fields: Any) -> TrialRecord:
        spec = fields.pop("spec", {})
        default: dict[str, Any] = {
            "outcome": "finished",
            "guarantees": AT_MOST_ONCE,
            "window_s": 1.0,
            "rate_per_s": rate,
            "received_per_s": rate,
            "ledger": self.ledger(attempted=10, confirmed=10, owed=10, received=10),
            "cost": self.cost(),
            "limit": "consumer",
        }
        return TrialRecord(
            spec=self.spec("stream", backend, repeat=repeat, **spec), began_utc="", **(default | fields)
        )

    def paced(
        self, backend: str, samples_ns: Sequence[int], *, rate: float = 1000.0, repeat: int = 0, **fields: Any
    ) -> TrialRecord:
        spec = fields.pop("spec", {})
        found = summarize(np.asarray(samples_ns, np.int64))
        default: dict[str, Any] = {
            "outcome": "finished",
            "guarantees": AT_MOST_ONCE,
            "window_s": 1.0,
            "rate_per_s": rate,
            "received_per_s": rate,
            "ledger": self.ledger(attempted=10, confirmed=10, owed=10, received=10),
            "latency": Latency(end_to_end=found, service=found, late_sends=2, skipped_sends=1),
            "cost": self.cost(),
            "limit": "pacing",
        }
        return TrialRecord(
            spec=self.spec("paced", backend, repeat=repeat, rate_per_s=rate, **spec),
            began_utc="",
            **(default | fields),
        )

    def ping_pong(self, backend: str, rate: float, *, repeat: int = 0) -> TrialRecord:
        return TrialRecord(
            spec=self.spec("ping-pong", backend, repeat=repeat),
            began_utc="",
            outcome="finished",
            guarantees=AT_MOST_ONCE,
            window_s=1.0,
            rate_per_s=rate,
            received_per_s=rate,
            ledger=self.ledger(attempted=10, confirmed=10, owed=10, received=10),
            latency=Latency(round_trip=summarize(np.full(MANY, int(1e9 / rate), np.int64))),
            cost=self.cost(),
            limit="waiting",
        )

    def counter(
        self, backend: str, rate: float, *, safe: bool, lost: int = 0, repeat: int = 0, **fields: Any
    ) -> TrialRecord:
        discipline = backend.partition("discipline=")[2]
        producers = fields.pop("producers", 2)
        return TrialRecord(
            spec=self.spec("counter", backend, repeat=repeat, producers=producers),
            began_utc="",
            outcome="finished",
            guarantees={"discipline": discipline, "safe": safe, "reach": "process tree"},
            window_s=1.0,
            rate_per_s=rate,
            received_per_s=rate,
            counter=settle(1000, 1000, 1000 - lost, safe=safe),
            latency=Latency(update=summarize(np.full(MANY, int(1e9 / rate), np.int64))),
            cost=self.cost(),
            limit="cores",
            **fields,
        )

    def forced(
        self,
        backend: str,
        *,
        shown: bool | None,
        safe: bool,
        face: str = "counter",
        repeat: int = 0,
        **fields: Any,
    ) -> TrialRecord:
        return self.watched("forced", backend, shown=shown, safe=safe, face=face, repeat=repeat, **fields)

    def watched(
        self,
        workload: str,
        backend: str,
        *,
        shown: bool | None,
        safe: bool,
        face: str,
        repeat: int = 0,
        **fields: Any,
    ) -> TrialRecord:
        rate, producers = fields.pop("rate", None), fields.pop("producers", 2)
        scenario = face if workload == "forced" else ""
        fields["broken"] = [breach(line) for line in fields.get("broken", [])]
        load = {"load": fields.pop("load")} if "load" in fields else {}
        return TrialRecord(
            spec=self.spec(workload, backend, repeat=repeat, producers=producers, scenario=scenario),
            began_utc="",
            outcome="finished",
            guarantees={
                "discipline": backend.partition("discipline=")[2],
                "safe": safe,
                "reach": "process tree",
                **load,
            },
            rate_per_s=rate,
            safety=Safety(
                model=face,  # type: ignore[arg-type]
                verdict="invalid" if fields.get("broken") else "valid",
                shown=shown,
                **fields,
            ),
        )

    def hung(self, backend: str, *, repeat: int = 0, **fields: Any) -> TrialRecord:
        return TrialRecord(
            spec=self.spec("stream", backend, repeat=repeat),
            began_utc="",
            outcome="hung",
            reason="consumer-0 had not connected after 20 s",
            guarantees=AT_MOST_ONCE,
            **fields,
        )

    def unavailable(self, backend: str, reason: str) -> Unavailable:
        return Unavailable(backend=backend, reason=reason)

    def result(self, trials: Sequence[TrialRecord] = (), **fields: Any) -> Result:
        default: dict[str, Any] = {
            "ipclab_result": SCHEMA_VERSION,
            "experiment": "comparison",
            "question": "how should my processes share state?",
            "began_utc": "2026-01-02T03:04:05+00:00",
            "ended_utc": "2026-01-02T03:06:05+00:00",
            "complete": True,
            "options": {},
            "environment": Environment(
                ipclab="0.1.0",
                python="3.13.1",
                implementation="CPython",
                system="Linux 6.1",
                processor="x86_64",
                cores=2,
                memory_bytes=8 * 2**30,
                load_1min=0.25,
                start_method="fork",
                libraries={},
                clock=ClockTest(rounds=200, offset_bound_ns=12_300, step_ns=40),
            ),
            "brokers": [BrokerFacts(kind="redis", provider="native", version="7.0.15", url="redis://h:1")],
            "unavailable": [],
            "trials": list(trials),
        }
        return Result(**(default | fields))
