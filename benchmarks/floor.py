"""What the lab's own loops cost where the transport costs nothing: µs a message and CPU time, by size.

    python benchmarks/floor.py --size 1024 --size 65536 --pairs 9

Each end runs by itself, in this process: the sending loop with a client that drops the message, the
receiving loop with a client that hands over ready ones, right ones all of them. So no transport, no second
process and no scheduler is in the figures, and what is left is stamping, reading the clock, comparing and
logging. No rate in a table can be higher than these allow, and transports that take less than that are told
apart with difficulty.

Beside each stands the plainest loop over the same client: one call a message and nothing else. The two are
run in pairs, one right after the other, in an order that alternates; medians and quartiles are told. The
bodies that are received are few and so lie in the processor's caches, as those do that a client has just
copied.

The exit code is 0 whatever the figures are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, cycle, islice, repeat
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ipclab.backends.base import Consumer, Producer
from ipclab.host.clock import now_ns
from ipclab.trial import rawlog, roles
from ipclab.trial.backlog import Backlog
from ipclab.trial.message import STOP, Stamper, tail
from ipclab.trial.rawlog import RawLog

SIZES = (16, 64, 1024, 4096, 16384, 65536, 262144)
READY = 4
"""So many different bodies are handed over in turn."""
SPAN_S = 0.25
"""About how long one run lasts."""


class Drops(Producer):
    """A sending end to which the message is nothing."""

    def __init__(self) -> None:
        self._last: deque[bytes] = deque(maxlen=1)

    def send(self, body: bytes) -> None:
        self._last.append(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._last.append


class HandsOver(Consumer):
    """A receiving end that has everything already, and then the stop message."""

    def __init__(self, bodies: Sequence[bytes], count: int) -> None:
        self._next = chain(islice(cycle(bodies), count), repeat(STOP)).__next__

    def receive(self) -> Sequence[bytes]:
        return (self._next(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._next


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one message: µs by the clock, and µs of processor time."""

    wall_us: float
    cpu_us: float


def timed(count: int, loop: Callable[[], object]) -> Cost:
    """Return what each of ``count`` messages cost."""
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    loop()
    cpu_ns, wall_ns = time.process_time_ns() - cpu_ns, time.perf_counter_ns() - wall_ns
    return Cost(wall_ns / count / 1e3, cpu_ns / count / 1e3)


def sending(size: int, count: int, folder: Path) -> Cost:
    """Return what the lab's sending loop costs."""
    path = folder / "sends"
    rawlog.create(path, 8, count)
    sends = RawLog(path)
    backlog = Backlog(sent=[], received=[], most=1000, copies=1)
    own_tail, end_ns = tail(1, 0, size), now_ns() + 3_600_000_000_000

    def loop() -> None:
        roles.saturate(Drops(), 0, own_tail, sends, backlog, window=1, end_ns=end_ns)

    # It ends when the log has no room for another block.
    cost = timed(1, loop)
    sent = sends.progress[0]
    sends.close()
    path.unlink()
    return Cost(cost.wall_us / sent, cost.cpu_us / sent)


def receiving(size: int, count: int, folder: Path) -> Cost:
    """Return what the lab's receiving loop costs."""
    path = folder / "receipts"
    rawlog.create(path, rawlog.receipt_bytes(size), count + 1)
    receipts = RawLog(path)
    own_tail = tail(1, 0, size)
    consumer = HandsOver(Stamper(0, own_tail, READY).stamp(0, READY), count)
    cost = timed(count, lambda: roles.consume(consumer, [own_tail], receipts))
    receipts.close()
    path.unlink()
    return cost


def plain_sending(size: int, count: int, folder: Path) -> Cost:
    """Return what it costs to hand one and the same body to the client again and again."""
    send, body = Drops().sender(), bytes(size)

    def loop() -> None:
        for _ in range(count):
            send(body)

    return timed(count, loop)


def plain_receiving(size: int, count: int, folder: Path) -> Cost:
    """Return what it costs to take the bodies from the client and look at none."""
    receive = HandsOver(Stamper(0, tail(1, 0, size), READY).stamp(0, READY), count).receiver()

    def loop() -> None:
        for _ in range(count):
            receive()

    return timed(count, loop)


ENDS = {"send": (sending, plain_sending), "receive": (receiving, plain_receiving)}


def measure(size: int, pairs: int, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each end at this size."""
    for end, (lab, plain) in ENDS.items():
        few = 2000
        count = max(int(SPAN_S * 1e6 / max(lab(size, few, folder).wall_us, 0.05)), few)
        found: list[tuple[Cost, Cost]] = []
        for number in range(pairs):
            if number % 2:
                last = plain(size, count, folder)
                found.append((lab(size, count, folder), last))
            else:
                found.append((lab(size, count, folder), plain(size, count, folder)))
        yield {"size_bytes": size, "end": end, "messages": count, "pairs": pairs, **summary(found)}


def summary(found: Sequence[tuple[Cost, Cost]]) -> dict[str, object]:
    """Return medians and quartiles of the lab's cost, and of what it costs more than the plain loop."""
    own = [asdict(lab) for lab, _ in found]
    more = [lab.cpu_us - plain.cpu_us for lab, plain in found]
    return {
        "wall_us": quartiles([one["wall_us"] for one in own]),
        "cpu_us": quartiles([one["cpu_us"] for one in own]),
        "cpu_us_above_plain": quartiles(more),
    }


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles."""
    if len(values) < 2:
        return {"median": values[0], "q1": values[0], "q3": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high}


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="What the lab's loops cost where the transport is nothing.")
    parser.add_argument("--size", type=int, action="append", help="of a message, in bytes")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--format", choices=("table", "markdown", "json"), default="table")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for size in chosen.size or SIZES for row in measure(size, chosen.pairs, Path(folder))]
    if chosen.format == "json":
        print(json.dumps(rows, indent=2))
    elif chosen.format == "markdown":
        print("\n".join(markdown(rows)))
    else:
        table = Table("size", "end", "µs/message", "CPU µs", "CPU µs above plain loop")
        for cells in map(texts, rows):
            table.add_row(*cells)
        Console().print(table)


def texts(row: dict[str, object]) -> list[str]:
    """Return the cells of a row: medians, with quartiles in brackets."""

    def cell(name: str) -> str:
        found = row[name]
        assert isinstance(found, dict)
        return f"{found['median']:.2f} [{found['q1']:.2f}–{found['q3']:.2f}]"

    return [f"{row['size_bytes']}", f"{row['end']}", *map(cell, ("wall_us", "cpu_us", "cpu_us_above_plain"))]


def markdown(rows: Sequence[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| size, bytes | end | µs a message | CPU µs a message | CPU µs above the plainest loop |"
    yield "| ---: | :-- | ---: | ---: | ---: |"
    for cells in map(texts, rows):
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
