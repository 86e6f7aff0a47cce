"""What does it cost to send objects and arrays?

Closed loop, one producer and one consumer: nested dicts, JSON text, dataclasses and numpy arrays, as objects
where the channel takes them and by every codec where it carries bytes.

The answer of one machine (docs/payloads.md has the figures and their conditions):

* Pickling dominates with objects, at every size: in queues and pipes it takes half to nine tenths of the
  workers' CPU time. Dataclasses cost 3 to 8 times as much as dicts, and JSON about 3 times as much as pickle.
* With arrays the copying dominates. Shared memory wins from between 256 and 512 KiB on; below, making a
  segment costs more than it saves. At 16 MiB it costs a third of a queue and a twelfth of Redis.
* ``Queue.put`` pickles later: an array that is changed after ``put()`` arrives changed, or torn.
"""

from collections.abc import Iterator
from typing import Any

from ipclab.backends.registry import Variant, channel_class
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec

CHANNELS = ("queue", "pipe", "manager-queue", "redis-list")
"""One of each family: objects or bytes through a pipe, objects through a server, bytes through a broker."""
JOB_BYTES = (1024, 64 * 1024, 2**20)
ARRAY_BYTES = (1024, 64 * 1024, 2**20, 16 * 2**20, 64 * 2**20)
LARGE_BYTES = 2**20
CODECS = {
    "dict": ("pickle", "json", "msgpack"),
    "json": ("json",),
    "dataclass": ("pickle", "msgpack"),
    "ndarray:float64": ("pickle", "pickle5", "shm"),
}
"""By payload; protocol 5 makes a difference only where there are buffers."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every payload in every size by every channel and codec that carries it."""
    chosen = request.channels() if request.backends else [Variant(name) for name in CHANNELS]
    for payload, codecs in CODECS.items():
        for backend in chosen:
            # An array in shared memory is worth a row of its own also where the channel takes objects.
            takes_objects = channel_class(backend).carries_objects
            usual = ("", *(("shm",) if "shm" in codecs else ())) if takes_objects else codecs
            for codec in usual:
                for size_bytes in ARRAY_BYTES if "shm" in codecs else JOB_BYTES:
                    settings = {"payload": payload, "codec": codec, "size_bytes": size_bytes}
                    yield _stream(request, backend, settings)


def _stream(request: Request, backend: Variant, settings: dict[str, Any]) -> TrialSpec:
    """Return a stream that is long enough for a few of its messages, whatever size was asked for."""
    short = request.trial(workload="stream", backend=backend, **settings, warmup_s=0.1, duration_s=0.4)
    if short.size_bytes < LARGE_BYTES:
        return short
    return request.trial(workload="stream", backend=backend, **settings, warmup_s=0.1, duration_s=1.0)


EXPERIMENT = Experiment(
    name="payload",
    question="What does it cost to send objects and arrays?",
    trials=trials,
    repeats=4,
)

if __name__ == "__main__":
    main(EXPERIMENT)
