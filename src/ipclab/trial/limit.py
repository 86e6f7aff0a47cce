"""What limited the rate of a trial, derived from how busy each process was."""

from __future__ import annotations

from collections.abc import Mapping

from ipclab.trial.record import Latency, Limit

BUSY = 0.85
"""A process that runs, or is ready to run, for this share of the window has no time left."""
QUEUED = 0.25
"""A limiting process that spends this share of its busy time in the run queue lacks a processor."""
MACHINE_BUSY = 0.9
BEHIND_SHARE = 0.25
"""Share of the sends of a paced trial; if more began late or never, the rate was not kept."""
STALLED = 0.2


def find_limit(
    running: Mapping[str, float],
    queued: Mapping[str, float],
    broker_running: float | None,
    *,
    broker_queued: float | None = None,
    stalled: float,
    paced: bool,
    cores: int,
    working: float = 0.0,
) -> Limit:
    """Return the party that limited the rate.

    ``running`` is CPU time over wall time by worker; ``queued`` is the time a worker was ready without a
    processor, over wall time. ``broker_running`` and ``broker_queued`` are the same of the broker and all
    helper processes together, None where unknown. ``stalled`` is the share of the window that the producers
    spent waiting for room in the backlog.

    ``paced`` is for a trial whose producers kept their schedule: only the schedule limited it, unless the
    consumers had no time left: ``working`` is the share of the window that they spent in work.

    The limit is the machine (``cores``) where all processes together fill it while more want to run than fit,
    or where the busiest process spends much of its time waiting for a processor. Otherwise it is the busiest
    party above ``BUSY``. Where nobody is busy, producers that waited for room show that the consumers' side
    is slow; else everybody was ``waiting`` for somebody else, as in consecutive round trips.
    """
    if working >= BUSY:
        return "consumer"
    if paced:
        return "pacing"
    if not running:
        return "unknown"
    total = sum(running.values()) + (broker_running or 0.0)
    parties = sum(share > 0.1 for share in running.values()) + (1 if broker_running else 0)
    if parties > cores and total >= MACHINE_BUSY * cores:
        return "cores"
    wanting = {name: share + queued.get(name, 0.0) for name, share in running.items()}
    name = max(wanting, key=wanting.__getitem__)
    if broker_running is not None:
        broker_waits = broker_queued or 0.0
        broker_wants = broker_running + broker_waits
        if broker_wants >= BUSY and broker_wants >= wanting[name]:
            return "cores" if broker_waits > QUEUED * broker_wants else "broker"
    if wanting[name] >= BUSY:
        return "cores" if queued.get(name, 0.0) > QUEUED * wanting[name] else _role(name)
    return "consumer" if stalled > STALLED else "waiting"


def behind_schedule(latency: Latency) -> bool:
    """Return whether the producers of a paced trial fell behind, so that their schedule was not the limit."""
    sent = latency.send.count if latency.send else 0
    return latency.late_sends + latency.skipped_sends > BEHIND_SHARE * (sent + latency.skipped_sends)


def _role(worker: str) -> Limit:
    role = worker.partition("-")[0]
    if role in ("consumer", "echoer"):
        return "consumer"
    return "owner" if role == "owner" else "producer"
