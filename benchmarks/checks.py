"""What the checks of histories cost: time, how it grows, and memory an operation.

    python benchmarks/checks.py [--most N]

Delivery and order of ten million messages go through ``DeliveryCheck`` as a trial feeds it; the others check
a history of N operations (a million) that is in memory already. Reading such a history from its file is shown
by itself. Growth is the processor's time at the most operations over that at a hundredth of them: 100 is
linear, 150 is n log n; above that it is memory, since ten thousand operations fit into a processor's cache.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ipclab.checks import check
from ipclab.checks.delivery import DeliveryCheck
from ipclab.history import Header, History, Operation, merge, read
from ipclab.history.columns import OK
from ipclab.history.format import CODES, VERSION, Line, Model
from ipclab.history.values import Values

MESSAGES = 10_000_000
CHUNK = 500_000
PRODUCERS = 4
CONSUMERS = 2
TAKES_NS = 900
"""How long an operation takes; with one begun every 250 ns, four of them are under way at a time."""


def main() -> None:
    """Print one line a check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--most", type=int, default=1_000_000, help="operations of the largest history")
    most = parser.parse_args().most
    print(f"{'check':<34}{'operations':>12}{'seconds':>9}{'growth':>8}{'bytes/op':>10}")
    seconds, per_message = deliver(MESSAGES), accounted(MESSAGES) / MESSAGES
    print(f"{'delivery and order, a trial':<34}{MESSAGES:>12}{seconds:>9.2f}{'':>8}{per_message:>10.1f}")
    makes: dict[Model, Callable[[int], History]] = {
        "queue": queue,
        "register": register,
        "delivery": delivery,
        "counter": counter,
        "lock": lock,
    }
    for model, make in makes.items():
        (_, small), (seconds, large) = timed(make(most // 100)), timed(make(most))
        memory = remembered(make, most)
        print(f"{model:<34}{most:>12}{seconds:>9.2f}{large / small:>8.0f}{memory / most:>10.1f}")
    seconds = reading(most // 10)
    print(f"{'reading a file (gzipped)':<34}{most // 10:>12}{seconds:>9.2f}")
    print(f"largest this process ever was: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def deliver(messages: int) -> float:
    """Return the seconds to account for this many messages of four producers at two consumers."""
    ledger = ledger_of(messages)
    began = time.perf_counter()
    for consumer, producer, sequence, intact in receipts(messages):
        ledger.add(consumer, producer, sequence, intact)
    settle(ledger)
    return time.perf_counter() - began


def accounted(messages: int) -> int:
    """Return the peak bytes of the ledger, of the chunk that it is fed and of all that it allocates."""
    peak = 0
    tracemalloc.start()
    ledger = ledger_of(messages)
    for consumer, producer, sequence, intact in receipts(messages):
        # What it took to make the chunk is not the ledger's.
        tracemalloc.reset_peak()
        ledger.add(consumer, producer, sequence, intact)
        peak = max(peak, tracemalloc.get_traced_memory()[1])
    del producer, sequence, intact
    tracemalloc.reset_peak()
    settle(ledger)
    peak = max(peak, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    return peak


def ledger_of(messages: int) -> DeliveryCheck:
    """Return a ledger of which each producer confirmed its share."""
    each = messages // PRODUCERS
    return DeliveryCheck([each] * PRODUCERS, [each] * PRODUCERS, consumers=CONSUMERS)


def receipts(
    messages: int,
) -> Iterator[tuple[int, npt.NDArray[np.uint16], npt.NDArray[np.uint64], npt.NDArray[np.bool_]]]:
    """Yield chunks of receipts: each consumer gets messages of all producers, in their order."""
    for first in range(0, messages, CONSUMERS * CHUNK):
        for consumer in range(CONSUMERS):
            last = min(first + CONSUMERS * CHUNK, messages)
            own = np.arange(first + consumer, last, CONSUMERS) // CONSUMERS
            producer = (own % PRODUCERS).astype(np.uint16)
            sequence = (own // PRODUCERS * CONSUMERS + consumer).astype(np.uint64)
            intact = np.ones(len(own), np.bool_)
            del own
            yield consumer, producer, sequence, intact


def settle(ledger: DeliveryCheck) -> None:
    """See that it finds nothing wrong."""
    settled = ledger.settle(may_lose=False, may_duplicate=False, ordered=True)
    if settled.verdict != "valid":
        sys.exit(f"the ledger says {settled.broken}")


def timed(history: History) -> tuple[float, float]:
    """Return the seconds to check it, and of the processor: the best of a few."""
    best_s = best_cpu_s = float("inf")
    for _ in range(30 if len(history) <= 100_000 else 3):
        began, cpu_began = time.perf_counter(), time.process_time()
        verdict = check(history)
        best_s = min(best_s, time.perf_counter() - began)
        best_cpu_s = min(best_cpu_s, time.process_time() - cpu_began)
        if verdict.verdict != "valid":
            sys.exit(f"{verdict.model}: {verdict.verdict}, {verdict.reason}")
    return best_s, best_cpu_s


def remembered(make: Callable[[int], History], operations: int) -> int:
    """Return the peak bytes of the history and of all that the check allocates besides."""
    history = make(operations)
    names = ("process", "key", "f", "outcome", "value", "start", "end")
    own: int = sum(getattr(history, name).nbytes for name in names)
    tracemalloc.start()
    check(history)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak + own


def columns(model: Model, names: tuple[str, ...], f: np.ndarray, value: np.ndarray) -> History:
    """Return a history of these operations, one begun every 250 ns, in turn by eight processes."""
    n = len(f)
    start = np.arange(n, dtype=np.int64) * 250
    return History(
        header=Header(ipclab_history=VERSION, model=model),
        processes=list(range(8)),
        keys=[None],
        values=Values(),
        faults=[],
        process=(np.arange(n) % 8).astype(np.int32),
        key=np.zeros(n, np.int32),
        f=np.array([CODES[name] for name in names], np.int8)[f],
        outcome=np.full(n, OK, np.int8),
        value=value.astype(np.int64),
        start=start,
        end=start + TAKES_NS,
    )


def queue(n: int) -> History:
    """Return enqueues and dequeues in turn, with ten values inside."""
    f = np.arange(n) % 2
    f[:20] = np.repeat((0, 1), 10)
    value = np.empty(n, np.int64)
    for which in (0, 1):
        value[f == which] = np.arange(int((f == which).sum()))
    return columns("queue", ("enqueue", "dequeue"), f, value)


def delivery(n: int) -> History:
    """Return the same operations as messages."""
    made = queue(n)
    swapped = np.where(made.f == CODES["enqueue"], CODES["send"], CODES["receive"]).astype(np.int8)
    return columns(
        "delivery", ("send", "receive"), (swapped == CODES["receive"]).astype(np.int64), made.value
    )


def register(n: int) -> History:
    """Return writes, each with three reads of it."""
    f = (np.arange(n) % 4 > 0).astype(np.int64)
    return columns("register", ("write", "read"), f, np.arange(n) // 4)


def counter(n: int) -> History:
    """Add one, and read."""
    f = np.arange(n) % 2
    return columns("counter", ("add", "read"), f, np.where(f == 0, 1, np.arange(n) // 2 + 1))


def lock(n: int) -> History:
    """Return holds of eight processes in turn, whose intervals do not touch."""
    made = columns("lock", ("acquire", "release"), np.arange(n) % 2, np.arange(n) // 2 + 1)
    made.process[:] = np.arange(n) // 2 % 8
    made.end[:] = made.start + 100
    return made


def reading(operations: int) -> float:
    """Return the seconds to read a file of this many operations on a queue."""
    history = queue(operations)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        with log.open("wb") as file:
            for line in lines(history):
                file.write(msgspec.json.encode(line) + b"\n")
        kept = Path(folder) / "history.jsonl.gz"
        merge(kept, history.header, [log])
        began = time.perf_counter()
        read(kept)
        return time.perf_counter() - began


def lines(history: History) -> list[Line]:
    """Yield the lines that its processes would have logged, in the order of time."""
    found = []
    for i in range(len(history)):
        op: Operation = history.operation(i)
        asked = op.value if op.f == "enqueue" else None
        assert op.end_ns is not None
        found.append(Line(process=op.process, type="invoke", f=op.f, value=asked, time=op.start_ns))
        found.append(Line(process=op.process, type="ok", f=op.f, value=op.value, time=op.end_ns))
    return sorted(found, key=lambda line: line.time)


if __name__ == "__main__":
    main()
