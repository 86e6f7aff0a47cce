"""How long does it take to ask another process and get its answer?

Ping-pong between two processes over two channels of the backend: one message there, the same one back, then
the next. A closed loop by nature, and labelled so.
"""

from collections.abc import Iterator

from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield one ping-pong per backend."""
    for backend in request.channels():
        yield request.trial(
            workload="ping-pong", backend=backend, size_bytes=64, warmup_s=0.2, duration_s=1.0
        )


EXPERIMENT = Experiment(
    name="round_trip",
    question="How long does it take to ask another process and get its answer?",
    trials=trials,
    repeats=4,
)

if __name__ == "__main__":
    main(EXPERIMENT)
