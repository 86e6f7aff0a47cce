"""What do processes lose that share a number, a value or a lock, and what does safety cost?

Every discipline of every counter, register and lock under the same load, the unsafe ones beside their cures:
the damage of doing without stands beside the price of doing it right. Load shows a race when luck will have
it; so each race is also forced, by making two processes interleave.
"""

from collections.abc import Iterator

from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

PROCESSES = (2, 4)
"""Of a counter; registers and locks are raced for by as many as the last."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every discipline under load, and forced."""
    for processes in (request.producers,) if request.producers else PROCESSES:
        for backend in request.counters():
            yield request.trial(
                workload="counter", backend=backend, producers=processes, warmup_s=0.05, duration_s=0.3
            )
    # The first part of these, the warm-up, is logged and checked, the second is measured.
    for backend in request.registers():
        yield request.trial(
            workload="register", backend=backend, producers=PROCESSES[-1], warmup_s=0.15, duration_s=0.15
        )
    for backend in request.mutexes():
        yield request.trial(
            workload="lock", backend=backend, producers=PROCESSES[-1], warmup_s=0.15, duration_s=0.15
        )
    faces = {"counter": request.counters(), "register": request.registers(), "lock": request.mutexes()}
    for face, backends in faces.items():
        for backend in backends:
            yield request.trial(
                workload="forced", scenario=face, backend=backend, producers=2, warmup_s=0.0, duration_s=0.1
            )


EXPERIMENT = Experiment(
    name="race",
    question="What do processes lose that share a number, a value or a lock, and what does safety cost?",
    trials=trials,
    repeats=5,
)

if __name__ == "__main__":
    main(EXPERIMENT)
