"""How many messages a second does each way carry, by the number of processes, the size and the window?

Closed loop: producers send as fast as they may, with at most a bounded number of messages under way, and what
counts is what arrived intact and once within the window.
"""

from collections.abc import Iterator
from itertools import product

from ipclab.backends.registry import channel_class
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

SHAPES = ((1, 1), (4, 1), (1, 4), (4, 4))
SIZES_BYTES = (64, 1024, 65536)
WINDOWS = (1, 100)


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every backend in every shape, size and window that it supports."""
    for backend in request.channels():
        windows = WINDOWS if channel_class(backend).windowed and request.window is None else (1,)
        for (producers, consumers), size_bytes, window in product(SHAPES, SIZES_BYTES, windows):
            yield request.trial(
                workload="stream",
                backend=backend,
                producers=producers,
                consumers=consumers,
                size_bytes=size_bytes,
                window=window,
                warmup_s=0.3,
                duration_s=1.0,
            )


EXPERIMENT = Experiment(
    name="throughput",
    question="How many messages a second does each way carry, by shape, size and window?",
    trials=trials,
    repeats=4,
)

if __name__ == "__main__":
    main(EXPERIMENT)
