"""What do threads share, carry and lose, beside processes with the same work?

Each queue carries 64 bytes, arrays of 1 MiB, items that cost CPU time, and items that wait: to a thread, to
a process, and on Python 3.14 to another interpreter of the process. Four workers increment one number: as
``n += 1``, with a call between read and write, and under a lock. Whether this interpreter has its global lock
(GIL) is read and shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ipclab.backends.registry import Variant
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec
from ipclab.trial.thread_facts import cases


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every case that this interpreter can play; of the backends asked for, if any were."""
    wanted = {variant.name for variant in request.known()}
    for case in cases(interpreters=sys.version_info >= (3, 14)):
        if not wanted or case.backend in wanted:
            yield request.trial(
                workload="threads",
                scenario=case.name,
                backend=Variant(case.backend),
                warmup_s=0.0,
                duration_s=0.3,
            )


EXPERIMENT = Experiment(
    name="threads",
    question="What do threads share, carry and lose, beside processes with the same work?",
    trials=trials,
    repeats=3,
)

if __name__ == "__main__":
    main(EXPERIMENT)
