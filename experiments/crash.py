"""What does each channel lose, repeat or hang in when a producer, a consumer or the broker fails?

Every fault (kill, pause, restart, cut, drop-reply, fill-memory) strikes every target (producer, consumer,
broker) at every moment (idle, busy, in mid-message). What a channel cannot suffer is left out, and the table
says why. A hang is a result: the watchdog ends it and names the primitive.
"""

from collections.abc import Iterator

from ipclab.backends.registry import Variant, channel_class
from ipclab.errors import UsageError
from ipclab.experiment import Experiment, Request
from ipclab.faults.applicability import kind_of, reason
from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS, FaultSpec
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

GRACE_S = {"rabbitmq": 30.0, "redis": 6.0, "memcached": 6.0, None: 2.0}
"""By broker, how long a call may take until it is called a hang: RabbitMQ needs a while to start again."""
SETTINGS: dict[str | None, tuple[dict[str, str], ...]] = {
    "redis": (
        {"appendonly": "yes", "appendfsync": "always"},
        {"maxmemory-policy": "allkeys-lru"},
    ),
}
"""Settings of a broker under which its own faults are looked at again."""
SET_ANEW = {
    "appendonly": ("kill", "restart"),
    "maxmemory-policy": ("fill-memory",),
}
"""Which faults a setting bears upon."""
UNDER_SETTINGS = ("redis-list", "redis-stream")


def faults(request: Request) -> Iterator[FaultSpec]:
    """All faults that the user did not leave out."""
    for action in request.faults or ACTIONS:
        for target in request.targets or TARGETS:
            for moment in MOMENTS:
                yield FaultSpec(action=action, target=target, moment=moment)


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Every fault of every channel that can suffer it, then those that a broker's settings bear upon."""
    for backend in request.channels():
        channel = channel_class(backend)
        kind = kind_of(backend)
        refusals = {fault: reason(fault, kind) for fault in faults(request)}
        suffered = [fault for fault, refusal in refusals.items() if not refusal]
        if backend in request.backends and not suffered:
            raise UsageError(f"{backend} suffers none of these faults: {next(iter(refusals.values()))}")
        for fault in suffered:
            yield trial(request, backend, fault)
        if backend.name in UNDER_SETTINGS:
            for settings in SETTINGS[channel.broker]:
                for fault in suffered:
                    if fault.target == "broker" and fault.action in SET_ANEW[next(iter(settings))]:
                        yield trial(request, backend, fault, settings)


def trial(
    request: Request, backend: Variant, fault: FaultSpec, settings: dict[str, str] | None = None
) -> TrialSpec:
    """One cell of the matrix."""
    channel = channel_class(backend)
    return request.trial(
        workload="crash",
        backend=backend,
        fault=fault,
        producers=min(2, channel.max_producers or 2),
        consumers=min(2, channel.max_consumers or 2),
        grace_s=GRACE_S[channel.broker],
        broker_settings=settings or {},
    )


EXPERIMENT = Experiment(
    name="crash",
    question="What does each channel lose, repeat or hang in when something fails?",
    trials=trials,
    repeats=1,
)

if __name__ == "__main__":
    main(EXPERIMENT)
