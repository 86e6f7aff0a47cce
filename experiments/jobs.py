"""Which channel is fit for jobs: does it keep p99 while consumers work, and what does a killed consumer cost?

Producers hand over jobs at a rate: dicts as JSON, of 2 to 20 KiB. Each job takes its consumer some time
(``--work``). The latency of a job counts from the moment at which it was due to the end of its work. Then, in
trials of their own, a consumer is killed while it works. The answer names each channel that fits, and why the
others do not.

A channel that was too slow while other programs used the machine is measured once more where there is time.

The trials with a killed consumer send small messages, about as fast as the consumers can work.
"""

from collections.abc import Iterable, Iterator, Sequence

from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import kinds
from ipclab.course import Course, InOrder
from ipclab.errors import UsageError
from ipclab.experiment import Experiment, Request
from ipclab.faults.applicability import kind_of, reason
from ipclab.faults.spec import FaultSpec
from ipclab.program import main
from ipclab.results.jobs import LIMIT, worth_repeating
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Slo

RATE_PER_S = 300.0
WORK = "5ms"
SMALLEST_BYTES, LARGEST_BYTES = 2 * 1024, 20 * 1024
PRODUCERS, CONSUMERS = 2, 3
LOCAL_GRACE_S = 2.0
BUDGET_S = 150.0
"""Trials may take this long in all with their second chances; the servers need some seconds more."""
OVERHEAD_S = 1.5
"""A trial takes this much longer than its window and its warm-up."""
KILL = FaultSpec(action="kill", target="consumer", moment="working")
ONE_BY_ONE = Variant.parse("rabbitmq:ack=manual,confirm=publisher,delivery=persistent,prefetch=1")
"""Measured in addition to the usual channels, to show what prefetch does."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every channel at the rate, and then every one with a killed consumer.

    Raise UsageError where another fault was asked for.
    """
    if request.faults or request.targets:
        raise UsageError("jobs kills a worker: leave out --fault and --target, or use the experiment crash")
    channels = request.channels()
    if not request.backends and request.prefetch is None:
        channels.append(ONE_BY_ONE)
    for backend in channels:
        yield request.trial(
            workload="paced",
            backend=backend,
            producers=PRODUCERS,
            consumers=CONSUMERS,
            payload="dict",
            # Another payload that the user chose has a codec of its own.
            codec="json" if request.payload is None else "",
            smallest_bytes=SMALLEST_BYTES,
            size_bytes=LARGEST_BYTES,
            rate_per_s=RATE_PER_S,
            work=WORK,
            warmup_s=0.5,
            duration_s=4.0,
        )
    for backend in channels:
        yield from kills(request, backend)


def kills(request: Request, backend: Variant) -> Iterator[TrialSpec]:
    """Yield the trial of a channel whose consumers can share jobs, in which one of them is killed at work."""
    channel = channel_class(backend)
    if channel(Site(namespace="ipclab:jobs"), **backend.options).guarantees.fan_out:
        return
    if not reason(KILL, kind_of(backend)):
        yield request.trial(
            workload="crash",
            backend=backend,
            fault=KILL,
            producers=PRODUCERS,
            consumers=CONSUMERS,
            work=WORK,
            grace_s=kinds.get(channel.broker).call_grace_s if channel.broker else LOCAL_GRACE_S,
        )


class SecondChances(InOrder):
    """All trials in their order, then one more repeat of those that a busy machine has left undecided.

    The repeats begin only while there is time for them within ``budget_s`` of trials.
    """

    def __init__(self, trials: Iterable[TrialSpec], slo: Slo, budget_s: float) -> None:
        super().__init__(trials)
        self._slo, self._left_s = slo, budget_s
        self._records: list[TrialRecord] = []
        self._again: list[TrialSpec] | None = None

    def next(self) -> TrialSpec | None:
        if (spec := super().next()) is not None:
            return spec
        if self._again is None:
            self._again = worth_repeating(self._records, self._slo)
        for place, again in enumerate(self._again):
            if again.warmup_s + again.duration_s + OVERHEAD_S < self._left_s:
                del self._again[: place + 1]
                self._left.append(again)
                return again
        return None

    def tell(self, record: TrialRecord, took_s: float) -> None:
        super().tell(record, took_s)
        self._records.append(record)
        self._left_s -= took_s


def course(request: Request, firsts: Sequence[TrialSpec]) -> Course:
    """Return the course of a run. Where the user chose the number of repeats, it has no other ones."""
    if request.repeats is not None:
        return InOrder(firsts)
    return SecondChances(firsts, request.slo or LIMIT, BUDGET_S)


EXPERIMENT = Experiment(
    name="jobs",
    question="Which channel hands over jobs in time, and loses none when a worker is killed?",
    trials=trials,
    repeats=1,
    course=course,
)

if __name__ == "__main__":
    main(EXPERIMENT)
