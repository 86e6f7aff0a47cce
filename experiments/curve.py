"""How does the latency grow with the rate, and where is the knee?

Each backend's peak is told by three short streams; then messages are offered at eight rates, a factor of √2
apart, up to 1.3 times the peak. The latency counts from the moment at which a message was due.
"""

from collections.abc import Iterator, Sequence

from ipclab.capacity.course import STREAM_S, WARMUP_S
from ipclab.capacity.sweep import Sweeps
from ipclab.course import Course
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Study


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield the short stream of each backend."""
    study = Study(kind="curve", part="peak")
    for backend in request.channels():
        yield request.trial(
            workload="stream", backend=backend, study=study, warmup_s=WARMUP_S, duration_s=STREAM_S
        )


def course(request: Request, firsts: Sequence[TrialSpec]) -> Course:
    """Return the sweeps."""
    return Sweeps(firsts, request.arrivals or "poisson")


EXPERIMENT = Experiment(
    name="curve",
    question="How does the latency grow with the rate, and where is the knee?",
    trials=trials,
    repeats=3,
    course=course,
)

if __name__ == "__main__":
    main(EXPERIMENT)
