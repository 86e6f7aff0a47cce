"""Does each producer's order hold on every channel, and does the order in real time hold over all of them?

Every channel declares whether it keeps the order of each producer. That a message whose send returned before
another's began also comes out before it is a stronger thing, which a queue in one process has, and which
nobody declares here. Under stress all send at once; forced, two producers take turns.
"""

from collections.abc import Iterator

from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.scenes.order import SCENARIOS
from ipclab.trial.spec import TrialSpec

PRODUCERS, CONSUMERS = 4, 2
GRACE_S = 6.0


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield both scenarios of every channel; forced needs two producers, and one consumer to be plain."""
    for backend in request.channels():
        for scenario in SCENARIOS:
            producers, consumers = shape(backend, scenario)
            trial = request.trial(
                workload="order",
                backend=backend,
                scenario=scenario,
                producers=producers,
                consumers=consumers,
                grace_s=GRACE_S,
            )
            if scenario == "stress" or trial.producers > 1:
                yield trial


def shape(backend: Variant, scenario: str) -> tuple[int, int]:
    """Return the numbers of producers and consumers, as many as the channel takes. With fan-out each consumer
    gets everything, so one consumer is enough to show an order."""
    channel = channel_class(backend)
    fan_out = channel(Site(namespace="ipclab:shape"), **backend.options).guarantees.fan_out
    producers, consumers = (2, 1) if scenario == "forced" or fan_out else (PRODUCERS, CONSUMERS)
    return min(producers, channel.max_producers or producers), min(
        consumers, channel.max_consumers or consumers
    )


EXPERIMENT = Experiment(
    name="order",
    question="Who overtakes whom: does each producer's order hold, and the order in real time?",
    trials=trials,
    repeats=3,
)

if __name__ == "__main__":
    main(EXPERIMENT)
