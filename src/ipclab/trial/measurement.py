"""A trial with a measured window: which workers it needs, how it is wound up, what its logs show."""

from __future__ import annotations

import abc
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ipclab.backends.base import Guarantees, OptionValue, Site
from ipclab.checks.counter import CounterVerdict
from ipclab.checks.delivery import Ledger
from ipclab.checks.drops import Drops
from ipclab.host import hang
from ipclab.trial import rawlog
from ipclab.trial.analysis import Window
from ipclab.trial.assignment import Assignment, receipts_path, returns_path, sends_path, works_path
from ipclab.trial.machines.clocks import Clocks
from ipclab.trial.orders import Quit
from ipclab.trial.processes import Crew, Worker
from ipclab.trial.rawlog import ReceiptWatch
from ipclab.trial.record import Latency, Worked
from ipclab.trial.spec import TrialSpec

MOST_PER_S = 1_500_000
"""No producer sends more than this. The logs have room for it; they are sparse, so room costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The findings of a trial's logs; a field that the workload does not have stays empty."""

    count: int
    """Messages, round trips or increments within the window; of messages, only those that are goodput."""
    received: int
    latency: Latency
    ledger: Ledger | None = None
    counter: CounterVerdict | None = None
    work: Worked | None = None


class Measurement(abc.ABC):
    """One measured trial. ``hang`` says in one line what did not end in time; empty while all goes well.

    ``slow`` says that it still ran when its time was over, so that it did not hang. ``drops`` is what the
    server dropped meanwhile, where that bounds a loss by overload; it is set before ``findings()``.
    ``keeps_tails`` is that of the crew; ``clocks`` are those of its machines, None where there is one clock.
    """

    leaders: ClassVar[tuple[str, ...]]
    """The roles whose reports end the sending."""
    cores_wanted: int
    options: Mapping[str, OptionValue]
    """All options of the backend, including those left at their defaults."""

    def __init__(self, spec: TrialSpec, site: Site, logs: Path) -> None:
        self.spec = spec
        self.site = site
        self.logs = logs
        self.hang = ""
        self.slow = False
        self.drops: Drops | None = None
        self.keeps_tails = True
        self.clocks: Clocks | None = None

    def hold_to(self, change: Callable[[Guarantees], Guarantees]) -> None:  # noqa: B027 - see below
        """Judge the backend by ``change(guarantees)``, as its server's settings require.

        Called before ``assignments()``, and again before ``findings()``. Shared state declares no loss.
        """

    def own_guarantees(self) -> Guarantees | None:
        """Return what the channel declares by itself, whatever its server is set to; None for no channel."""
        return None

    @abc.abstractmethod
    def setup(self) -> None:
        """Set up the backend."""

    @abc.abstractmethod
    def teardown(self) -> None:
        """Tear down the backend."""

    @abc.abstractmethod
    def server_pids(self) -> tuple[int, ...]:
        """Return the pids of the backend's helper processes."""

    @abc.abstractmethod
    def declared(self) -> dict[str, str | int | bool | list[str] | None]:
        """Return what the backend declares, for the record."""

    @abc.abstractmethod
    def assignments(self) -> list[Assignment[Any]]:
        """Return one assignment for each worker; their log files exist when it returns."""

    @abc.abstractmethod
    def wind_up(self, crew: Crew) -> None:
        """Drain, stop and collect after the leaders have reported; set ``hang`` where this does not end."""

    @abc.abstractmethod
    def findings(self, crew: Crew, window: Window, *, complete: bool) -> Findings:
        """Read the logs and return the findings."""

    def create_logs(self, name: str, *, stamps: Sequence[str] = (), receipts: bool = False) -> None:
        seconds = self.spec.warmup_s + self.spec.duration_s + 1
        capacity = int(seconds * MOST_PER_S)
        for path in (p(self.logs, name) for p, kind in _STAMPS if kind in stamps):
            rawlog.create(path, 8, capacity)
        if receipts:
            record_bytes = (
                rawlog.receipt_bytes(self.spec.body_bytes) if self.keeps_tails else rawlog.RECEIPT_BYTES
            )
            rawlog.create(receipts_path(self.logs, name), record_bytes, capacity * self.spec.producers)


_STAMPS = ((sends_path, "sends"), (returns_path, "returns"), (works_path, "works"))


def wait_for(crew: Crew, workers: Sequence[Worker], timeout_s: float) -> list[Worker]:
    """Listen until all of these have settled or a worker failed. Return those that have not settled."""
    deadline = time.monotonic() + timeout_s
    while (open_ := [w for w in workers if not w.settled]) and not crew.failures:
        if (left_s := deadline - time.monotonic()) <= 0:
            break
        crew.listen(left_s)
    return open_


def outlast(
    measurement: Measurement,
    crew: Crew,
    until: Callable[[], bool],
    within_s: float,
    *,
    at_most_s: float = float("inf"),
) -> bool:
    """Wait until a condition holds; return False where the awaited workers hang, or are far too slow.

    The wait also ends with the first failure of a worker. While a log grows, or a worker or a helper process
    runs, they are slow and do not hang: see ``host.hang``. ``measurement.slow`` tells which it was.
    """

    def over() -> bool:
        return until() or bool(crew.failures)

    def wait(over: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not over() and (left_s := deadline - time.monotonic()) > 0:
            crew.listen(left_s)
        return over()

    with contextlib.ExitStack() as stack:
        logs = [*measurement.logs.glob("*.sends"), *measurement.logs.glob("*.receipts")]
        watches = [stack.enter_context(contextlib.closing(ReceiptWatch(path))) for path in sorted(logs)]
        waited = hang.outlast(
            wait,
            over,
            within_s=within_s,
            progress=lambda: [watch.count() for watch in watches],
            pids=lambda: [
                *(p for w in crew.workers if not w.ended for p in w.pids),
                *measurement.server_pids(),
            ],
            at_most_s=at_most_s,
        )
    measurement.slow = waited == "slow"
    return waited == "came"


def names(workers: Sequence[Worker]) -> str:
    return ", ".join(w.name for w in workers)


def dismiss(crew: Crew, measurement: Measurement) -> None:
    """Let the leaders close their connections, and wait until every worker has ended."""
    for member in crew.by_role(*measurement.leaders):
        member.tell(Quit())
    grace_s = measurement.spec.grace_s
    if not outlast(measurement, crew, lambda: all(w.ended for w in crew.workers), grace_s):
        alive = [w for w in crew.workers if not w.ended]
        measurement.hang = f"{names(alive)} did not close within {grace_s:g} s"
