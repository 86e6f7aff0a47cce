"""What does each channel lose, repeat or hang in when a producer, a consumer or the broker fails?

Every fault of ``ipclab.faults.registry`` strikes every target (producer, consumer, broker) at every moment
(idle, busy, working, in mid-message). What a channel cannot suffer is left out, and the table
says why. A hang is a result: the watchdog ends it and names the primitive.
"""

from collections.abc import Iterator

from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import kinds
from ipclab.errors import UsageError
from ipclab.experiment import Experiment, Request
from ipclab.faults.applicability import kind_of, reason
from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS, FaultSpec
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

LOCAL_GRACE_S = 2.0
"""How long a call of a channel without a broker may take until it is called a hang."""
UNDER_SETTINGS = ("redis-list", "redis-stream")
"""Channels whose broker's faults are looked at again under the settings that its kind names."""


def faults(request: Request) -> Iterator[FaultSpec]:
    """Return all faults that the user did not leave out. Raise UsageError for the target of a task queue."""
    if other := [target for target in request.targets if target not in TARGETS]:
        raise UsageError(f"crash has no target {other[0]}: use the experiment tasks")
    for action in request.faults or ACTIONS:
        for target in (one for one in TARGETS if not request.targets or one in request.targets):
            for moment in MOMENTS:
                yield FaultSpec(action=action, target=target, moment=moment)


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every fault of every channel that can suffer it, then those that a broker's settings affect."""
    for backend in request.channels():
        channel = channel_class(backend)
        kind = kind_of(backend)
        refusals = {fault: reason(fault, kind) for fault in faults(request)}
        suffered = [fault for fault, refusal in refusals.items() if not refusal]
        if backend in request.backends and not suffered:
            raise UsageError(f"{backend} suffers none of these faults: {next(iter(refusals.values()))}")
        for fault in suffered:
            yield trial(request, backend, fault)
        if backend.name in UNDER_SETTINGS and channel.broker:
            for case in kinds.get(channel.broker).settings_cases:
                for fault in suffered:
                    if fault.target == "broker" and fault.action in case.actions:
                        yield trial(request, backend, fault, dict(case.settings))


def trial(
    request: Request, backend: Variant, fault: FaultSpec, settings: dict[str, str] | None = None
) -> TrialSpec:
    """Return one cell of the matrix."""
    channel = channel_class(backend)
    return request.trial(
        workload="crash",
        backend=backend,
        fault=fault,
        producers=min(2, channel.max_producers or 2),
        consumers=min(2, channel.max_consumers or 2),
        grace_s=kinds.get(channel.broker).call_grace_s if channel.broker else LOCAL_GRACE_S,
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
