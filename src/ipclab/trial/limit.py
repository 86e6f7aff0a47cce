"""Who was the limit of a trial, told from how busy everybody was."""

from __future__ import annotations

from collections.abc import Mapping

from ipclab.trial.record import Limit

BUSY = 0.85
"""A process that runs for this share of the window has no time left."""
MACHINE_BUSY = 0.9


def limit(
    busy: Mapping[str, float | None], broker_busy: float | None, *, stalled: float, paced: bool, cores: int
) -> Limit:
    """The party that bound the rate.

    ``busy`` is CPU time over wall time by worker; ``broker_busy`` the same for the broker, in processors;
    ``stalled`` is the share of the window that producers spent waiting for room in the backlog.

    The busiest single party above ``BUSY`` is the limit, unless all together fill the machine, when it is the
    ``cores``. Where nobody is busy, producers that waited for room say that the consumers' side is slow;
    else everybody was ``waiting`` for the other, as in one round trip after the other.
    """
    if paced:
        return "pacing"
    known = {name: share for name, share in busy.items() if share is not None}
    if not known:
        return "unknown"
    parties = len([share for share in known.values() if share > 0.1]) + (1 if broker_busy else 0)
    total = sum(known.values()) + (broker_busy or 0.0)
    if total >= MACHINE_BUSY * cores and parties > cores:
        return "cores"
    name, share = max(known.items(), key=lambda item: item[1])
    if broker_busy is not None and broker_busy >= BUSY and broker_busy >= share:
        return "broker"
    if share >= BUSY:
        return _role(name)
    return "consumer" if stalled > 0.2 else "waiting"


def _role(worker: str) -> Limit:
    role = worker.partition("-")[0]
    if role in ("consumer", "echoer"):
        return "consumer"
    return "owner" if role == "owner" else "producer"
