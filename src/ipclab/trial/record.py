"""The results of one trial. Frozen; stored as JSON; nothing in it is derived from another trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from ipclab.backends.base import OptionValue
from ipclab.checks import counter, delivery
from ipclab.checks.breach import Breach
from ipclab.checks.counter import CounterVerdict
from ipclab.checks.delivery import Ledger, Verdict
from ipclab.history.format import Model
from ipclab.hosts.clock_bound import ClockMap, Withheld
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TaskFigures
from ipclab.trial.thread_facts import ThreadFigures

Outcome = Literal["finished", "hung", "failed"]
Limit = Literal["producer", "consumer", "owner", "broker", "cores", "pacing", "waiting", "unknown"]


PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
"""Each reported percentile, and the share of all samples that lies up to it."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A latency distribution in nanoseconds. Percentiles without enough samples behind them are None.

    ``histogram`` is an HdrHistogram in its V2 compressed base64 encoding (1 ns to 1 h, 3 digits). Histograms
    can be merged, percentiles cannot. ``excursions`` has pairs, ascending: a duration from p90 on, and the
    number of separate runs of samples, in the order of their time, that took at least that long; None where
    the order is not known. ``negative`` counts samples below zero; they are in ``min_ns`` but not in the
    histogram.
    """

    count: int
    negative: int
    min_ns: int
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    p999_ns: int | None
    max_ns: int
    histogram: str
    excursions: list[tuple[int, int]] | None = None


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The distributions of a trial; each is None where the workload does not have it.

    ``send``        from the call of ``send()`` to its return (paced).
    ``confirm``     from the intended send time to the confirmation at the declared level (paced).
    ``end_to_end``  from the intended send time to the receipt (paced); with work, to its end.
    ``service``     from the actual send to the receipt (paced), or to the end of the work; the closed-loop
                    figure.
    ``round_trip``  from the send to the receipt of the echo (ping-pong; closed loop).
    ``update``      from one increment to the next (counter; closed loop).
    ``same_machine``  ``end_to_end`` of the messages whose producer and consumer share a machine, of several.
    ``late_sends``  sends that began more than 1 ms after their due time; ``skipped_sends`` never began.
    """

    send: Distribution | None = None
    confirm: Distribution | None = None
    end_to_end: Distribution | None = None
    service: Distribution | None = None
    round_trip: Distribution | None = None
    update: Distribution | None = None
    same_machine: Distribution | None = None
    late_sends: int = 0
    skipped_sends: int = 0


class Worked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the consumers of a trial with work did. Counts are of the whole trial, drain included.

    ``utilisation``  the share of the window that the consumers together spent in work.
    ``finished``     messages whose handler returned, at least once.
    ``again``        returns of the handler beyond the first of a message.
    ``failed``       times that the handler raised.
    ``returned``     of these, those after which the message was left to the channel to deliver again.
    ``unfinished``   messages that were received and whose handler never returned.
    ``receipt``      from the intended send time to the first receipt (paced).
    ``handling``     from a receipt to the end of its work, whatever its outcome.
    """

    utilisation: float
    finished: int
    again: int = 0
    failed: int = 0
    returned: int = 0
    unfinished: int = 0
    receipt: Distribution | None = None
    handling: Distribution | None = None


class ProcessCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The resource use of one process: ``cpu_s`` within the sampled interval; ``peak_rss_bytes`` in its life.

    ``queued_s`` is how long it was ready to run within the interval and had no processor: a wait that the
    machine caused, not the backend. None where the system does not report it.
    """

    name: str
    cpu_s: float | None
    queued_s: float | None
    peak_rss_bytes: int | None


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CPU and memory of a trial. ``interval_s`` is the time between the two readings of the workers' CPU
    clocks; ``broker_interval_s`` is that between the broker's readings, which come a little earlier.

    ``broker_cpu_s`` and ``broker_queued_s`` include the broker, the helper processes that the backend
    names, and ``helpers`` more that the trial has started and that were active.
    ``broker_rss_bytes`` is the broker's memory at the end of the window; None where unknown.
    ``stalled_s`` is the total time that the producers waited for room in the backlog. ``beyond_backlog`` is
    the number of messages above its bound that may have been in flight: see ``ipclab.trial.backlog``.
    ``wanted_cores`` is the number of processes that had work to do: above ``cores``, they took turns.
    ``others_cores`` is how many processors were busy on average with what is not of the trial; None where
    unknown.
    """

    interval_s: float
    broker_interval_s: float | None = None
    workers: list[ProcessCost]
    broker_cpu_s: float | None
    broker_rss_bytes: int | None
    broker_queued_s: float | None = None
    helpers: int = 0
    stalled_s: float
    beyond_backlog: int = 0
    cores: int
    wanted_cores: int
    others_cores: float | None = None


class Serialising(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The CPU time that the workers spent encoding and decoding payloads, in µs for each message received.

    It is measured in samples, and includes what a channel that carries objects pickles by itself in the
    workers. Brokers and managers serialise too; that is in their own CPU time. ``check_us_per_message`` is
    the lab's own: comparing each payload with the one that was sent.
    """

    encode_us_per_message: float
    decode_us_per_message: float
    check_us_per_message: float = 0.0


class BrokerFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The origin of a trial's broker. ``url`` is masked. ``settings`` are the settings that the server
    reports; they are stored once for a run and not with every trial. ``network`` is ``container network``
    where the lab ran in a container of the compose project, else empty."""

    kind: str
    provider: str
    version: str
    url: str
    settings: dict[str, str] = {}
    network: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One machine of a trial on several, by its number; the record has no names of machines.

    ``workers``      the names of its workers.
    ``cpu_s``        the CPU time of these within ``interval_s``; None where a reading is missing.
    ``others_cores``  how many of its processors were busy on average with what is not of the trial here.
    ``limit``        the party that limited its workers, like that of the trial.
    ``clock``        how its clock was mapped to that of the trial, or why that failed.
    """

    number: int
    workers: list[str]
    python: str
    cores: int
    interval_s: float = 0.0
    cpu_s: float | None = None
    others_cores: float | None = None
    limit: Limit = "unknown"
    clock: ClockMap | Withheld


class Machines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machines of a trial, and what distance does to its figures.

    ``reference``     the number of the machine whose clock is that of the trial.
    ``bound_ns``      the largest error of a latency between machines; None where nothing is proven.
    ``withheld``      why the latencies from end to end are withheld, if they are.
    ``mirror_age_ns``  how old the known progress of another machine was at most.
    ``overshoot``     how many messages beyond the backlog may have been in flight because of that.
    """

    reference: int
    machines: list[Machine]
    bound_ns: int | None = None
    withheld: Withheld | None = None
    mirror_age_ns: int = 0
    overshoot: int = 0


Hold = Literal["", "held", "one step", "out of reach"]
"""How a race was forced: the processes were held or stopped; the backend says that an operation is one step,
without a moment to hold it at; or there is such a moment, and the lab cannot reach it. Empty where no race
was to be forced."""


class Safety(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The results of a safety trial.

    ``model``      the model against which its history was checked.
    ``verdict``    whether the backend's declared guarantees held, as far as this trial tells; ``broken``
                   lists the breaches.
    ``refused``    why the trial was not carried out, in one line; all other fields are empty then.
    ``anomalies``  the anomalies that the check found, by name; also those from which the
                   backend does not declare itself safe.
    ``counts``     the delivery ledger of the history, or other counts.
    ``shown``      whether the anomaly that the trial provokes occurred; None where it provokes none.
    ``finding``    the result in one sentence.
    ``hold``       how a race was forced.
    ``hung``       by process, the primitive that it never returned from.
    ``gave_up``    by process, the error after which it could neither continue nor reconnect.
    ``first_again_s``  seconds from the start of the fault to the first receipt of a message sent after it, in
                   trials that send all the time; None where none arrived.
    ``counterexample``  the smallest one, drawn as a timeline; empty where there is none.
    ``history``    the file of the history, relative to the folder of the run; empty where it was not kept.
    """

    model: Model
    verdict: Verdict
    broken: list[Breach] = []
    refused: str = ""
    anomalies: dict[str, int] = {}
    counts: dict[str, int] = {}
    shown: bool | None = None
    finding: str = ""
    hold: Hold = ""
    hung: dict[str, str] = {}
    gave_up: dict[str, str] = {}
    first_again_s: float | None = None
    counterexample: str = ""
    history: str = ""


def unfinished(record: TrialRecord, outcome: Literal["hung", "failed"], reason: str) -> TrialRecord:
    """Return the record of a trial that did not finish; its ledger calls no message lost."""
    return msgspec.structs.replace(
        record,
        outcome=outcome,
        reason=reason,
        ledger=delivery.of_unfinished(record.ledger) if record.ledger is not None else None,
        counter=counter.of_unfinished(record.counter) if record.counter is not None else None,
    )


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trial, finished or not.

    ``outcome``  ``hung`` when the watchdog ended it, ``failed`` when a worker or the broker gave up;
                 ``reason`` is one line about it and ``stuck`` the stack of each worker that hung.
    ``options``  all options of the backend, defaults included: ``spec`` has only those that were set.
    ``rate_per_s``  within the window: goodput of messages, round trips, or confirmed increments.
    ``safety``   the results of a safety trial.
    ``work``     what the consumers did, in a trial with work.
    ``dropped``  how many items the server itself dropped meanwhile, by its own counters: evicted for lack of
                 memory, or expired. Empty where none was dropped, or the counters are unknown.
    ``drops_excuse``  how many lost messages these drops excuse at most. One item may hold all messages under
                 way, so it may be more than were dropped. None where the drops decide nothing.
    ``serialising``  of a trial with payloads; None for plain bytes, and where a worker did not report.
    ``segments_left``  segments of shared memory that nobody unlinked in time (codec ``shm``). The lab did.
    ``tasks``    the figures of a task queue.
    ``threads``  the figures of threads, processes or interpreters with the same work.
    ``copies_made``  how often encoding and decoding copy an array (``payload.copies``); None for anything
                     else. The channel's own copies come on top.
    ``machines``  of a trial on several machines.
    ``side_effects``  what the backend changed in its trial's process or left behind, one line each, which
                 continues after its name. The effects ended with the trial and reached no other trial.
    """

    spec: TrialSpec
    began_utc: str
    outcome: Outcome
    reason: str = ""
    stuck: dict[str, str] = {}
    options: dict[str, OptionValue] = {}
    guarantees: dict[str, str | int | bool | list[str] | None] = {}
    broker: BrokerFacts | None = None
    window_s: float = 0.0
    rate_per_s: float | None = None
    received_per_s: float | None = None
    ledger: Ledger | None = None
    counter: CounterVerdict | None = None
    latency: Latency = Latency()
    cost: Cost | None = None
    limit: Limit = "unknown"
    safety: Safety | None = None
    dropped: dict[str, int] = {}
    drops_excuse: int | None = None
    side_effects: list[str] = []
    work: Worked | None = None
    serialising: Serialising | None = None
    segments_left: int = 0
    tasks: TaskFigures | None = None
    threads: ThreadFigures | None = None
    copies_made: float | None = None
    machines: Machines | None = None

    @property
    def clock_bound_ns(self) -> int:
        """Return by how much a latency from end to end may be wrong because of the clocks of machines."""
        return (self.machines.bound_ns or 0) if self.machines is not None else 0
