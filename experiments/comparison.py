"""How can my Python processes share state here, how fast is each way, and what does it lose?

The default experiment: one row a backend and mode. Every channel is first driven as fast as it goes (goodput,
CPU, who was the limit), then at a steady rate (latency); every counter is hammered by two processes.
"""

from collections.abc import Iterator

from ipclab.backends.registry import Variant
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

WINDOW = 100
"""Channels that can send in batches are measured again with this window: it is the first thing to try."""
BATCHED = (
    "redis-list",
    "redis-stream",
    "rabbitmq:ack=manual,confirm=publisher,delivery=persistent",
    "rabbitmq-quorum",
)
PACED_REPEATS = 3
"""Latency is measured in so many repeats: a p99 of one says nothing of the next."""
RATE_PER_S = 500
"""Of the latency trials: the same for all, and low enough that even the slowest mode keeps up with it."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield a short stream of each channel and race of each counter; latency in the first three repeats, or
    in all if the request says so.
    """
    for backend in request.channels():
        yield request.trial(workload="stream", backend=backend, warmup_s=0.1, duration_s=0.4)
    if not request.backends and request.window is None:
        for text in BATCHED:
            backend = Variant.parse(text)
            yield request.trial(
                workload="stream", backend=backend, window=WINDOW, warmup_s=0.1, duration_s=0.4
            )
    if (repeat < PACED_REPEATS or request.every_repeat) and request.window in (None, 1):
        for backend in request.channels():
            yield request.trial(
                workload="paced", backend=backend, rate_per_s=RATE_PER_S, warmup_s=0.1, duration_s=1.2
            )
    for backend in request.counters():
        yield request.trial(workload="counter", backend=backend, producers=2, warmup_s=0.05, duration_s=0.25)


EXPERIMENT = Experiment(
    name="comparison",
    question="How can my processes share state here, how fast is each way, and what does it lose?",
    trials=trials,
    repeats=5,
)

if __name__ == "__main__":
    main(EXPERIMENT)
