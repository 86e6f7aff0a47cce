"""Which rate does each way carry within a limit on latency?

A search per backend: three short streams tell its peak, then paced trials find the rates between which the
capacity lies. A trial holds where at most 1 % of the messages (for p99) are slower than the limit, none is
lost, and what was offered is carried. A trial that fails while other programs are at work proves nothing.
"""

from collections.abc import Iterator, Sequence

from ipclab.capacity.course import STREAM_S, WARMUP_S, Searches
from ipclab.course import Course
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Slo, Study

DEFAULT = Slo.parse("p99=10ms")


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield the short stream with which the search of each backend begins."""
    study = Study(kind="capacity", part="peak", slo=request.slo or DEFAULT)
    for backend in request.channels():
        yield request.trial(
            workload="stream", backend=backend, study=study, warmup_s=WARMUP_S, duration_s=STREAM_S
        )


def course(request: Request, firsts: Sequence[TrialSpec]) -> Course:
    """Return the searches."""
    return Searches(firsts, request.slo or DEFAULT, request.arrivals or "poisson")


EXPERIMENT = Experiment(
    name="capacity",
    question="Which rate does each way carry within a limit on latency?",
    trials=trials,
    repeats=1,
    course=course,
)

if __name__ == "__main__":
    main(EXPERIMENT)
