"""Analyse the logs of a trial after its window, with numpy, half a million receipts at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ipclab.backends.base import Guarantees
from ipclab.checks.delivery import DeliveryCheck, Ledger
from ipclab.checks.drops import Drops
from ipclab.hosts.placement import machine_of
from ipclab.trial import rawlog
from ipclab.trial.distribution import summarize
from ipclab.trial.message import Originals, trial_mark
from ipclab.trial.record import Distribution, Latency
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import receipts_path, returns_path, sends_path, tails

CHUNK = 500_000
Slack = Callable[[int, int], int]


def no_slack(producer: int, consumer: int) -> int:
    """Return 0 for a trial whose workers share one clock."""
    return 0


LATE_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """The measured window on the trial's clock."""

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Return the length of the window in seconds."""
        return (self.end_ns - self.start_ns) / 1e9

    def holds(self, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return a mask of the times that lie within the window: start included, end excluded."""
        return (times_ns >= self.start_ns) & (times_ns < self.end_ns)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the logs of a stream or a paced trial show. Rates are within the window."""

    ledger: Ledger
    good: int
    received_in_window: int
    latency: Latency


def delivery(
    spec: TrialSpec,
    guarantees: Guarantees,
    logs: Path,
    window: Window,
    *,
    finished: dict[str, int],
    due_ns: dict[int, npt.NDArray[np.int64]],
    complete: bool,
    content: str,
    before_stop: Sequence[int] = (),
    drops: Drops | None = None,
    expired: bool = False,
    slack_ns: Slack = no_slack,
) -> Delivery:
    """Return the ledger, rate and latency of a stream or a paced trial; account for every message.

    ``finished`` has the count of every worker that reported. For a producer that did not report, the sends
    count as confirmed that its log shows it continued after. ``due_ns`` holds the intended send times on the
    trial's clock, by producer (paced trials). ``complete`` is False where the trial was cut short, so that
    missing messages prove nothing. ``before_stop`` is the number of receipts that each consumer had when all
    messages had arrived and the stop messages were sent; a damaged body after those is a damaged stop
    message and counts as no message. ``content`` is the seed text of the message bodies
    (``ipclab.trial.assignment.content``). With ``drops``, overload excuses as many losses as they explain;
    without, all where it is declared. ``expired`` says that messages may have expired, as declared.
    ``slack_ns(producer, consumer)`` is the largest error of a difference of their clocks.
    """
    sends = [rawlog.read_stamps(sends_path(logs, f"producer-{i}")) for i in range(spec.producers)]
    returns = (
        [rawlog.read_stamps(returns_path(logs, f"producer-{i}")) for i in range(spec.producers)]
        if due_ns
        else []
    )
    confirmed = [
        len(returns[i]) if returns else _confirmed(len(sent), spec.window, finished.get(f"producer-{i}"))
        for i, sent in enumerate(sends)
    ]
    check = DeliveryCheck(
        [len(sent) for sent in sends], confirmed, consumers=spec.consumers, fan_out=guarantees.fan_out
    )
    originals = Originals(tails(spec, content), trial_mark(content))
    intacts = []
    for consumer, receipts in _messages(spec, logs, originals, before_stop):
        header, intact = np.ascontiguousarray(receipts["header"]), originals.are_intact(receipts)
        slacks_ns = [slack_ns(producer, consumer) for producer in range(spec.producers)]
        early = _received_before_send(receipts, intact, sends, slacks_ns)
        check.add(consumer, header["producer"], header["sequence"], intact, early)
        intacts.append((intact, intact & ~early))
    ledger = check.settle(
        may_lose=not complete or expired or (drops is None and "overload" in guarantees.may_lose),
        may_duplicate=guarantees.delivery == "at-least-once",
        ordered=guarantees.order == "per-producer",
        drops=drops,
    )
    if not guarantees.safe:
        # What it lost, repeated or damaged is counted, and breaks nothing.
        ledger = msgspec.structs.replace(ledger, verdict="valid", broken=[])
    good = received = 0
    firsts = _FirstReceipts(sends, spec.consumers if guarantees.fan_out else 1) if returns else None
    near = _Near(due_ns)
    again = _messages(spec, logs, originals, before_stop)
    for (consumer, receipts), (intact, in_time) in zip(again, intacts, strict=True):
        inside = window.holds(receipts["time_ns"]) & in_time
        received += int(inside.sum())
        header = receipts["header"]
        once = check.once(consumer, header["producer"], header["sequence"])
        good += int((inside & once).sum())
        if firsts is not None:
            firsts.add(consumer if guarantees.fan_out else 0, receipts[intact])
            near.add(spec, consumer, receipts[intact])
    latency = (
        _paced_latency(window, sends, returns, due_ns, firsts, confirmed) if firsts is not None else Latency()
    )
    if firsts is not None:
        latency = msgspec.structs.replace(latency, same_machine=near.latency(window))
    return Delivery(ledger, good, received, latency)


def _received_before_send(
    receipts: npt.NDArray[np.void],
    intact: npt.NDArray[np.bool_],
    sends: Sequence[npt.NDArray[np.int64]],
    slacks_ns: Sequence[int],
) -> npt.NDArray[np.bool_]:
    """Return a mask of the receipts that are stamped before the send of their message began.

    Both times are readings of one clock, or of two whose difference is known up to a slack of each producer.

    A message cannot arrive before it is sent: the channel invented such a message, for example from an
    earlier one.
    """
    early = np.zeros(len(receipts), np.bool_)
    header = receipts["header"]
    for producer, sent_ns in enumerate(sends):
        known = intact & (header["producer"] == producer) & (header["sequence"] < len(sent_ns))
        least_ns = sent_ns[header["sequence"][known].astype(np.int64)] - slacks_ns[producer]
        early[known] = receipts["time_ns"][known] < least_ns
    return early


def _confirmed(attempted: int, window: int, finished: int | None) -> int:
    """Return the number of confirmed sends; a producer waits for the confirmation of each window."""
    if finished is not None:
        return finished
    return max(attempted - 1, 0) // window * window


def _receipts(spec: TrialSpec, logs: Path) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
    """Yield each consumer and its receipts, at most one chunk of receipts at a time."""
    for consumer in range(spec.consumers):
        for receipts in rawlog.receipt_chunks(receipts_path(logs, f"consumer-{consumer}"), CHUNK):
            yield consumer, receipts


def _messages(
    spec: TrialSpec, logs: Path, originals: Originals, before_stop: Sequence[int]
) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
    """Yield consumers and receipts, without the stop messages that a channel has damaged."""
    seen = [0] * spec.consumers
    for consumer, receipts in _receipts(spec, logs):
        first, seen[consumer] = seen[consumer], seen[consumer] + len(receipts)
        if before_stop and seen[consumer] > before_stop[consumer]:
            is_message = originals.are_intact(receipts)
            is_message[: max(before_stop[consumer] - first, 0)] = True
            yield consumer, receipts[is_message]
        else:
            yield consumer, receipts


class _FirstReceipts:
    """The time of the first receipt of each message, at every consumer that should receive it.

    A redelivered message counts with its first receipt. To leave it out would hide the latency of
    exactly the messages that took longest.
    """

    def __init__(self, sends: Sequence[npt.NDArray[np.int64]], groups: int) -> None:
        never = np.iinfo(np.int64).max
        self.times_ns = [[np.full(len(sent), never, np.int64) for sent in sends] for _ in range(groups)]
        self._never = never

    def add(self, group: int, receipts: npt.NDArray[np.void]) -> None:
        """Enter intact receipts; ignore those of messages that nobody sent."""
        for producer, times_ns in enumerate(self.times_ns[group]):
            mine = receipts[receipts["header"]["producer"] == producer]
            mine = mine[mine["header"]["sequence"] < len(times_ns)]
            np.minimum.at(times_ns, mine["header"]["sequence"].astype(np.int64), mine["time_ns"])

    def of(self, producer: int, confirmed: int) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
        """Yield, for each group, sequences and times of this producer's confirmed messages that arrived."""
        for group in self.times_ns:
            times_ns = group[producer][:confirmed]
            came = np.flatnonzero(times_ns != self._never)
            yield came, times_ns[came]


class _Near:
    """The latency of messages whose producer and consumer share a machine, of several; it needs no offset.

    A message that arrived more than once there counts with each receipt.
    """

    def __init__(self, due_ns: dict[int, npt.NDArray[np.int64]]) -> None:
        self._due_ns = due_ns
        self._found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []

    def add(self, spec: TrialSpec, consumer: int, receipts: npt.NDArray[np.void]) -> None:
        """Enter the intact receipts of a consumer."""
        if not spec.placement:
            return
        here = machine_of(spec.placement, "consumer", consumer)
        for producer, due in self._due_ns.items():
            if machine_of(spec.placement, "producer", producer) == here:
                mine = receipts[receipts["header"]["producer"] == producer]
                mine = mine[mine["header"]["sequence"] < len(due)]
                due_ns = due[mine["header"]["sequence"].astype(np.int64)]
                self._found.append((due_ns, mine["time_ns"] - due_ns))

    def latency(self, window: Window) -> Distribution | None:
        """Return the distribution within the window; None where no such pair exists."""
        if not self._found:
            return None
        due_ns, took_ns = (np.concatenate(part) for part in zip(*self._found, strict=True))
        inside = window.holds(due_ns)
        return summarize(took_ns[inside], due_ns[inside])


def _paced_latency(
    window: Window,
    sends: list[npt.NDArray[np.int64]],
    returns: list[npt.NDArray[np.int64]],
    due_ns: dict[int, npt.NDArray[np.int64]],
    firsts: _FirstReceipts,
    confirmed: list[int],
) -> Latency:
    send, confirm, end_to_end, service, late, skipped = [], [], [], [], 0, 0
    sent_at, received_at = [], []
    for i, (sent, returned) in enumerate(zip(sends, returns, strict=True)):
        due = due_ns[i]
        measured = window.holds(due)
        answered = measured[: len(returned)]
        send.append((returned - sent[: len(returned)])[answered])
        sent_at.append(due[: len(returned)][answered])
        confirm.append((returned - due[: len(returned)])[answered])
        late += int(((sent - due[: len(sent)])[measured[: len(sent)]] > LATE_NS).sum())
        skipped += int(measured[len(sent) :].sum())
        for came, times_ns in firsts.of(i, confirmed[i]):
            inside = measured[came]
            received_at.append(due[came][inside])
            end_to_end.append((times_ns - due[came])[inside])
            service.append((times_ns - sent[came])[inside])
    return Latency(
        send=summarize(np.concatenate(send), np.concatenate(sent_at)),
        confirm=summarize(np.concatenate(confirm), np.concatenate(sent_at)),
        end_to_end=summarize(np.concatenate(end_to_end), np.concatenate(received_at)),
        service=summarize(np.concatenate(service), np.concatenate(received_at)),
        late_sends=late,
        skipped_sends=skipped,
    )


def round_trips(logs: Path, window: Window) -> tuple[int, Latency, Ledger]:
    """Return the number of round trips that ended within the window, their latency, and the ledger of all.

    The worker compares every echo with what it sent and fails at the first difference, so every logged echo
    was intact and in its place.
    """
    began = rawlog.read_stamps(sends_path(logs, "pinger-0"))
    ended = rawlog.read_stamps(returns_path(logs, "pinger-0"))
    measured = window.holds(ended)
    trips = ended[measured] - began[: len(ended)][measured]
    check = DeliveryCheck([len(began)], [len(ended)], consumers=1)
    sequences = np.arange(len(ended))
    check.add(0, np.zeros(len(ended), np.int64), sequences, np.ones(len(ended), np.bool_))
    ledger = check.settle(may_lose=True, may_duplicate=False, ordered=True)
    return len(trips), Latency(round_trip=summarize(trips, ended[measured])), ledger


def updates(spec: TrialSpec, logs: Path, window: Window) -> tuple[int, Latency]:
    """Return the number of increments that ended within the window, and their latency.

    The worker reads the clock before each increment, so each reading is also the end of the increment before.
    """
    took, at = [], []
    for i in range(spec.producers):
        stamps = rawlog.read_stamps(sends_path(logs, f"adder-{i}"))
        measured = window.holds(stamps[1:])
        took.append(np.diff(stamps)[measured])
        at.append(stamps[1:][measured])
    everything = np.concatenate(took)
    return len(everything), Latency(update=summarize(everything, np.concatenate(at)))


def attempts(spec: TrialSpec, logs: Path) -> list[int]:
    """Return the number of increments that each process has attempted."""
    return [len(rawlog.read_stamps(sends_path(logs, f"adder-{i}"))) for i in range(spec.producers)]
