"""What one trial has shown. Frozen; stored as JSON; nothing in it is derived from another trial."""

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
from ipclab.trial.spec import TrialSpec

Outcome = Literal["finished", "hung", "failed"]
Limit = Literal["producer", "consumer", "owner", "broker", "cores", "pacing", "waiting", "unknown"]


PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
"""Each percentile that is reported, and the share of all samples that lies up to it."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A latency distribution in nanoseconds. Percentiles without enough samples behind them are None.

    ``histogram`` is an HdrHistogram in its V2 compressed base64 encoding (1 ns to 1 h, 3 digits): it can be
    merged with others, which percentiles cannot. ``excursions`` says for durations from p90 on, ascending,
    how many separate runs of samples, in the order of their time, took at least that long: pairs of both;
    None where the order is not known. ``negative`` counts samples below zero; they are in ``min_ns`` but not
    in the histogram.
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
    """The distributions of a trial, each None where the workload has no such thing.

    ``send``        from the call of ``send()`` to its return (paced).
    ``confirm``     from the intended send time to the confirmation at the declared level (paced).
    ``end_to_end``  from the intended send time to the receipt (paced).
    ``service``     from the actual send to the receipt (paced); the closed-loop figure.
    ``round_trip``  from the send to the receipt of the echo (ping-pong; closed loop).
    ``update``      from one increment to the next (counter; closed loop).
    ``late_sends``  sends that began more than 1 ms after they were meant to; ``skipped_sends`` never began.
    """

    send: Distribution | None = None
    confirm: Distribution | None = None
    end_to_end: Distribution | None = None
    service: Distribution | None = None
    round_trip: Distribution | None = None
    update: Distribution | None = None
    late_sends: int = 0
    skipped_sends: int = 0


class ProcessCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one process used: ``cpu_s`` within the sampled interval; ``peak_rss_bytes`` in its life.

    ``queued_s`` is how long it was ready to run within the interval and had no processor: what the machine,
    not the backend, made it wait. None where the system does not tell.
    """

    name: str
    cpu_s: float | None
    queued_s: float | None
    peak_rss_bytes: int | None


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CPU and memory of a trial. ``interval_s`` is the time between the two readings of the workers' CPU
    clocks, ``broker_interval_s`` that between those of the broker's, which come a little earlier.

    ``broker_cpu_s`` and ``broker_queued_s`` are of the broker, of the helper processes that the backend
    names, and of ``helpers`` more that the trial has started and that were at work.
    ``broker_rss_bytes`` is the broker's memory at the end of the window; None where it cannot be told.
    ``stalled_s`` is what the producers together spent waiting for room in the backlog, and ``beyond_backlog``
    how many messages more than its bound may have been under way: see ``ipclab.trial.backlog``.
    ``wanted_cores`` is the number of processes that had something to do: above ``cores``, they took turns.
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


class BrokerFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a trial's broker came from. ``url`` is masked; ``settings`` is what the server says that it is
    set to, and is kept once for a run and not with every trial."""

    kind: str
    provider: str
    version: str
    url: str
    settings: dict[str, str] = {}


Hold = Literal["", "held", "one step", "out of reach"]
"""How a race was forced: processes were held or stopped; there was no moment to hold them at, by the word of
the backend; there is one, and the lab cannot bring it about. Empty where nothing was to be forced."""


class Safety(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a safety trial showed.

    ``model``      what its history was checked as.
    ``verdict``    whether what the backend declares held, as far as this trial can tell; ``broken`` has
                   what did not hold.
    ``refused``    why the trial was not carried out, in one line; all else is empty then.
    ``anomalies``  what the check found, by name, whether the backend declares itself safe from it or not.
    ``counts``     the delivery ledger of the history, or what else was counted.
    ``shown``      whether the anomaly that the trial provokes came up; None where it provokes none.
    ``finding``    what came of it in one sentence.
    ``hold``       how a race was forced.
    ``hung``       by process, the primitive that it never came back from.
    ``gave_up``    by process, the error after which it could not go on and could not connect again.
    ``first_again_s``  from when the fault was in force to the first receipt of a message sent after that, in
                   trials that send all the time; None where none came.
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
    """Return the record of a trial that did not finish, in which nothing is called lost."""
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
    ``options``  all options of the backend, defaults included: ``spec`` has those that were set.
    ``rate_per_s``  within the window: goodput of messages, round trips, or confirmed increments.
    ``safety``   of a trial that was watched for safety.
    ``dropped``  how many items the server itself dropped meanwhile, by its own counters: evicted for want of
                 memory, or expired. Empty where none was dropped, or none can be told.
    ``side_effects``  what the backend changed in the process of its trial or left behind, each in a line that
                 goes on after its name. It ended with the trial and reached no other.
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
    side_effects: list[str] = []
