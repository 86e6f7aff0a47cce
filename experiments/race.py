"""What does a shared counter lose when several processes increment it, and what does safety cost?

Every discipline of every counter under the same load, the unsafe ones beside their cures: the damage of doing
without stands beside the price of doing it right.
"""

from collections.abc import Iterator

from ipclab.experiment import Experiment, Request, main
from ipclab.trial.spec import TrialSpec

PROCESSES = (2, 4)


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Every discipline with two and with four processes."""
    for backend in request.counters():
        yield request.trial(
            workload="forced", scenario="counter", backend=backend, producers=2, warmup_s=0.0, duration_s=0.1
        )
    for processes in (request.producers,) if request.producers else PROCESSES:
        for backend in request.counters():
            yield request.trial(
                workload="counter", backend=backend, producers=processes, warmup_s=0.1, duration_s=0.5
            )


EXPERIMENT = Experiment(
    name="race",
    question="What does a counter lose when several processes increment it, and what does safety cost?",
    trials=trials,
    repeats=5,
)

if __name__ == "__main__":
    main(EXPERIMENT)
