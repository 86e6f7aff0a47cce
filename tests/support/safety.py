"""Hand-made records of safety trials: no processes, no histories; each keyword has a value of a good one."""

from __future__ import annotations

from typing import Any

from ipclab.backends.registry import Variant
from ipclab.checks.breach import Breach
from ipclab.faults.spec import FaultSpec
from ipclab.results import version_1
from ipclab.trial.record import Safety, TrialRecord
from ipclab.trial.spec import TrialSpec

AT_MOST_ONCE: dict[str, Any] = {
    "delivery": "at-most-once",
    "may_lose": ["broker crash", "consumer crash"],
    "order": "per-producer",
    "durability": "none",
    "confirm": "broker",
    "fan_out": False,
}
AT_LEAST_ONCE = AT_MOST_ONCE | {"delivery": "at-least-once", "may_lose": ["broker crash"]}
DURABLE = AT_LEAST_ONCE | {"may_lose": [], "durability": "disk"}
COUNTS = {"attempted": 1000, "confirmed": 1000, "received": 1000}
TIMELINE = "1 was confirmed and nobody received it\nproducer-0  ├ send 1 ─┤"


def breach(line: Breach | str) -> Breach:
    """Return a breach, told by its sentence where only that is given."""
    return version_1.breach(line) if isinstance(line, str) else line


def crash(
    backend: str = "redis-list",
    fault: str = "kill consumer, busy",
    *,
    repeat: int = 0,
    settings: dict[str, str] | None = None,
    declared: dict[str, Any] | None = None,
    counts: dict[str, int] | None = None,
    first_again_s: float | None = 0.01,
    **found: Any,
) -> TrialRecord:
    """Return a trial of the fault matrix: ``fault`` as ``str(FaultSpec)``, ``found`` as ``Safety``."""
    what, _, moment = fault.partition(", ")
    action, target = what.split(" ")
    spec = TrialSpec(
        workload="crash",
        backend=Variant.parse(backend),
        fault=FaultSpec(action=action, target=target, moment=moment),  # type: ignore[arg-type]
        broker_settings=settings or {},
        repeat=repeat,
        producers=2,
        consumers=2,
    )
    return _record(spec, declared, found, counts, first_again_s=first_again_s)


def order(
    backend: str = "queue",
    scenario: str = "stress",
    *,
    repeat: int = 0,
    declared: dict[str, Any] | None = None,
    counts: dict[str, int] | None = None,
    **found: Any,
) -> TrialRecord:
    """Return a trial of order, checked as a queue."""
    spec = TrialSpec(
        workload="order",
        backend=Variant.parse(backend),
        scenario=scenario,
        repeat=repeat,
        producers=4,
        consumers=2,
    )
    return _record(spec, declared, {"model": "queue"} | found, counts)


def client(
    scenario: str = "retries",
    backend: str = "redis:discipline=incr",
    *,
    repeat: int = 0,
    counts: dict[str, int] | None = None,
    **found: Any,
) -> TrialRecord:
    """Return a trial of a client library."""
    spec = TrialSpec(workload="client", backend=Variant.parse(backend), scenario=scenario, repeat=repeat)
    return _record(spec, {}, {"model": "counter"} | found, counts or {})


def _record(
    spec: TrialSpec,
    declared: dict[str, Any] | None,
    found: dict[str, Any],
    counts: dict[str, int] | None,
    **more: Any,
) -> TrialRecord:
    broken = found["broken"] = [breach(line) for line in found.get("broken", [])]
    default: dict[str, Any] = {"model": "delivery", "verdict": "invalid" if broken else "valid", **more}
    whole = COUNTS | counts if counts is not None and spec.workload != "client" else counts or COUNTS
    return TrialRecord(
        spec=spec,
        began_utc="",
        outcome="finished",
        guarantees=AT_MOST_ONCE if declared is None else declared,
        safety=Safety(counts=whole if not found.get("refused") else {}, **(default | found)),
    )
