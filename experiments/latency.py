"""How long is a message under way, at a rate that the sender does not choose?

Open loop: messages are due at random moments (a Poisson stream), whatever became of those before, and their
latency counts from the moment at which they were due. The time from the actual send stands beside it.
"""

from collections.abc import Iterator

from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

RATES_PER_S = (100, 1000)


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every backend at every rate; four repeats of 4 s at 1000/s give the samples for p99.9."""
    for rate_per_s in (request.rate_per_s,) if request.rate_per_s else RATES_PER_S:
        for backend in request.channels():
            yield request.trial(
                workload="paced", backend=backend, rate_per_s=rate_per_s, warmup_s=0.5, duration_s=4.0
            )


EXPERIMENT = Experiment(
    name="latency",
    question="How long is a message under way, at a rate that the sender does not choose?",
    trials=trials,
    repeats=4,
)

if __name__ == "__main__":
    main(EXPERIMENT)
