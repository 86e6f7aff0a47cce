"""The delivery ledger of a history: accounts for every message, judged by the declared guarantee.

A message is identified by its value; a send that certainly failed sent none. In addition to everything that
``ipclab.checks.delivery`` accounts for:

- *before it was sent*: a receipt that ended before the send began.
- *unacknowledged*, only for at-least-once, where consumers log ``ack``: a confirmed message that came once,
  to a consumer that did not acknowledge it. It is lost: nobody finished it, and nobody got it again. An
  ``ack`` acknowledges all that its process has received before it; a failed one means that what its process
  holds will never be acknowledged.
- *excused*, only for exactly-once: a confirmed message that nobody is known to have received, while a
  ``receive`` of unknown outcome may have got it (each excuses one), or a consumer was killed that held
  messages which it had not received yet (``in_flight`` of the header, each kill of a consumer by name).
  At-least-once redelivers those, and at-most-once may lose them anyway.

Messages of different keys are different, and keys are accounted for one by one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ipclab.checks.delivery import DeliveryCheck
from ipclab.checks.fifo import CORRUPTED, PUTS, TAKES, is_corrupted
from ipclab.checks.verdict import Findings, shown
from ipclab.history.columns import FAIL, FOREVER, OK, Bools, History, Int64s
from ipclab.history.format import CODES, ENDINGS, Guarantee
from ipclab.history.values import NULL

ACK = CODES["ack"]
COUNTS = (
    "attempted",
    "confirmed",
    "owed",
    "received",
    "lost",
    "lost_excused",
    "unacknowledged",
    "recovered",
    "duplicated",
    "unexpected",
    "corrupted",
    "reordered",
    "received_before_sent",
)


@dataclass(slots=True)
class _Sent:
    """The sends of a key that may have happened, each producer's in their order; the arrays are parallel."""

    place: Int64s
    producer: Int64s
    sequence: Int64s
    sure: Bools


@dataclass(slots=True)
class _Receipts:
    """The messages that came, in the order of arrival; ``of`` is the send's index in ``_Sent`` or -1."""

    place: Int64s
    consumer: Int64s
    of: Int64s
    damaged: Bools


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms by which a channel is judged: its guarantee, whether order is part of it, whether losses
    count against it, whether any are excused, and whether a receipt without an acknowledgement is no
    delivery."""

    guarantee: Guarantee
    ordered: bool
    may_lose: bool
    excuses: bool
    by_ack: bool = False


def check_delivery(history: History, terms: Terms) -> Findings:
    """Account for all messages. A key that sent a value twice is named in ``unfit``."""
    found = Findings(history)
    found.counts = dict.fromkeys(COUNTS, 0)
    acknowledged = history.header.acknowledged or bool((history.f == ACK).any())
    by_key = np.argsort(history.key, kind="stable")
    bounds = np.searchsorted(history.key[by_key], np.arange(len(history.keys) + 1))
    for key, (first, behind) in enumerate(itertools.pairwise(bounds.tolist())):
        mine = by_key[first:behind]
        f, outcome = history.f[mine], history.outcome[mine]
        puts = mine[np.isin(f, PUTS) & (outcome != FAIL)]
        if len(np.unique(history.value[puts])) < len(puts):
            found.unfit[key] = "a value was sent more than once, so its copies cannot be told apart"
            continue
        takes, acks = mine[np.isin(f, TAKES)], mine[f == ACK]
        _check_key(found, puts, takes, acks if terms.by_ack and acknowledged else None, terms)
    if found.counts["lost"] and not history.header.drained and not terms.may_lose:
        lost = found.counts["lost"]
        found.undecided = f"{lost} confirmed messages were not received, but the channel was not drained"
    return found


def _check_key(found: Findings, puts: Int64s, takes: Int64s, acks: Int64s | None, terms: Terms) -> None:
    """Account for the messages of one key; ``acks`` is None where receipts need no acknowledgement."""
    history = found.history
    sent = _sent(history, puts)
    who, consumer = np.unique(history.process[takes], return_inverse=True)
    answered = (history.outcome[takes] == OK) & (history.value[takes] != NULL)
    receipts = _receipts(history, sent, takes[answered], consumer[answered])
    producers = int(sent.producer.max()) + 1 if len(puts) else 0
    check = DeliveryCheck(
        np.bincount(sent.producer, minlength=producers).tolist(),
        np.bincount(sent.producer[sent.sure], minlength=producers).tolist(),
        consumers=max(len(who), 1),
        fan_out=history.header.fan_out,
        sure=sent.sure,
    )
    known = receipts.of >= 0
    from_whom = np.where(known, sent.producer[receipts.of] if producers else 0, producers)
    sequence = np.where(known, sent.sequence[receipts.of] if producers else 0, 0)
    for c in range(len(who)):
        his = receipts.consumer == c
        check.add(c, from_whom[his], sequence[his], ~receipts.damaged[his])
    ledger = check.settle(may_lose=True, may_duplicate=True, ordered=False)
    for name in COUNTS:
        found.counts[name] += getattr(ledger, name, 0)
    _enter_impossible(found, sent, receipts)
    _enter_duplicates(found, sent, receipts, may=terms.guarantee == "at-least-once")
    # Order is promised only while nothing is redelivered; a trial judges it the same way.
    repeats = terms.guarantee == "at-least-once" and ledger.duplicated > 0
    if ledger.reordered and terms.ordered and not repeats:
        _enter_reordered(found, sent, receipts, ledger.reordered)
    missing = check.missing()
    if acks is not None:
        abandoned = _unacknowledged(history, sent, receipts, acks, groups=len(missing))
        found.counts["unacknowledged"] += int(abandoned.sum())
        found.counts["lost"] += int(abandoned.sum())
        missing |= abandoned
    _enter_lost(found, sent, missing, takes, consumer, terms)


def _sent(history: History, puts: Int64s) -> _Sent:
    puts = puts[np.lexsort((history.start[puts], history.process[puts]))]
    _, producer = np.unique(history.process[puts], return_inverse=True)
    counts = np.bincount(producer)
    firsts = np.cumsum(counts) - counts
    sequence = np.arange(len(puts)) - (firsts[producer] if len(puts) else 0)
    return _Sent(puts, producer, sequence, history.outcome[puts] == OK)


def _receipts(history: History, sent: _Sent, takes: Int64s, consumer: Int64s) -> _Receipts:
    order = np.argsort(history.end[takes], kind="stable")
    takes, consumer = takes[order], consumer[order]
    values = history.value[sent.place]
    sorter = np.argsort(values, kind="stable")
    got = history.value[takes]
    spot = np.searchsorted(values[sorter], got)
    known = spot < len(values)
    known[known] = values[sorter[spot[known]]] == got[known]
    of = np.full(len(takes), -1, np.int64)
    of[known] = sorter[spot[known]]
    damaged = np.zeros(len(takes), np.bool_)
    for i in np.flatnonzero(~known):
        damaged[i] = is_corrupted(history.operation(int(takes[i])).value)
    return _Receipts(takes, consumer, of, damaged)


def _unacknowledged(
    history: History, sent: _Sent, receipts: _Receipts, acks: Int64s, *, groups: int
) -> Bools:
    """Return which confirmed messages came once, to a consumer that did not acknowledge them, by group."""
    settled = np.zeros(len(receipts.of), np.bool_)
    of_ack, of_receipt = history.process[acks], history.process[receipts.place]
    for who in np.unique(of_ack).tolist():
        own = np.sort(acks[of_ack == who])
        mine = np.flatnonzero(of_receipt == who)
        following = np.searchsorted(own, receipts.place[mine])
        followed = mine[following < len(own)]
        settled[followed] = history.outcome[own[following[following < len(own)]]] != FAIL
    abandoned = np.zeros((groups, len(sent.place)), np.bool_)
    for group in range(groups):
        inside = (receipts.of >= 0) & ((receipts.consumer == group) | (not history.header.fan_out))
        times = np.bincount(receipts.of[inside], minlength=len(sent.place))
        acknowledged = np.bincount(receipts.of[inside & settled], minlength=len(sent.place))
        abandoned[group] = (times == 1) & (acknowledged == 0) & sent.sure
    return abandoned


def _enter_impossible(found: Findings, sent: _Sent, receipts: _Receipts) -> None:
    """Enter messages that nobody sent, that came damaged, or that came before they were sent."""
    history = found.history
    damaged, strange = receipts.place[receipts.damaged], receipts.place[(receipts.of < 0) & ~receipts.damaged]
    if len(damaged):
        text = f"{found.say(damaged[0])}: the bytes are not those that were sent"
        found.clash(CORRUPTED, len(damaged), damaged[:1], text)
    if len(strange):
        found.clash("phantom", len(strange), strange[:1], f"{found.say(strange[0])}: nobody sent it")
    known = np.flatnonzero(receipts.of >= 0)
    sends = sent.place[receipts.of[known]]
    came = receipts.place[known]
    # Operations that touch within a tick are concurrent, but within one process they are ordered.
    own = (history.process[came] == history.process[sends]) & (came < sends)
    early = np.flatnonzero(history.end[came] < history.start[sends] + own)
    found.counts["received_before_sent"] += len(early)
    if len(early):
        a, b = sends[early[0]], receipts.place[known[early[0]]]
        text = f"{found.say(b)} had ended before {found.say(a)} began"
        found.clash("received-before-sent", len(early), (a, b), text)


def _enter_duplicates(found: Findings, sent: _Sent, receipts: _Receipts, *, may: bool) -> None:
    known = np.flatnonzero(receipts.of >= 0)
    group = receipts.consumer[known] if found.history.header.fan_out else np.zeros(len(known), np.int64)
    order = np.lexsort((known, receipts.of[known], group))
    known, group = known[order], group[order]
    again = np.flatnonzero((receipts.of[known][1:] == receipts.of[known][:-1]) & (group[1:] == group[:-1]))
    if len(again) and not may:
        i, j = known[again[0]], known[again[0] + 1]
        a = sent.place[receipts.of[i]]
        text = f"{shown(found.history.operation(a).value)} was sent once and came again: "
        places = (a, receipts.place[i], receipts.place[j])
        found.clash("duplicated", len(again), places, text + found.say(receipts.place[j]))


def _enter_reordered(found: Findings, sent: _Sent, receipts: _Receipts, count: int) -> None:
    """Enter the first message that came after a later one of its producer, and the latest one before it."""
    newest: dict[tuple[int, int], int] = {}
    for i in np.flatnonzero(receipts.of >= 0).tolist():
        b = int(receipts.of[i])
        at = int(receipts.consumer[i]), int(sent.producer[b])
        j = newest.get(at)
        if j is None or sent.sequence[receipts.of[j]] < sent.sequence[b]:
            newest[at] = i
        elif sent.sequence[receipts.of[j]] > sent.sequence[b] and sent.sure[b]:
            a = int(receipts.of[j])
            places = (sent.place[b], sent.place[a], receipts.place[j], receipts.place[i])
            first, second = (shown(found.history.operation(int(sent.place[p])).value) for p in (b, a))
            by = found.history.name(found.history.operation(int(sent.place[a])).process)
            text = f"{by} sent {first} before {second}, and one consumer got {second} before {first}"
            found.clash("reordered", count, places, text)
            return


def _enter_lost(
    found: Findings,
    sent: _Sent,
    missing: Bools,
    takes: Int64s,
    consumer: Int64s,
    terms: Terms,
) -> None:
    """Separate excused losses from the others; only the others count against the channel."""
    history = found.history
    unexcused = []
    for group, gone in enumerate(missing):
        lost = sent.place[gone]
        lost = lost[np.argsort(history.start[lost], kind="stable")]
        inside = consumer == group if history.header.fan_out else np.ones(len(takes), np.bool_)
        excused = 0
        for until in _excuses(history, takes[inside]) if terms.excuses else ():
            if excused < len(lost) and history.start[lost[excused]] < until:
                excused += 1
        found.counts["lost_excused"] += excused
        unexcused.extend(lost[excused:].tolist())
    if unexcused and not terms.may_lose and history.header.drained:
        found.clash("lost", len(unexcused), *_first_lost(found, takes, unexcused[0]))


def _first_lost(found: Findings, takes: Int64s, send: int) -> tuple[tuple[int, ...], str]:
    """Return the operations of a lost message, and the sentence about them."""
    history = found.history
    text = f"{found.say(send)} was confirmed and nobody received it"
    answered = takes[(history.outcome[takes] == OK) & (history.value[takes] == history.value[send])]
    if len(answered) and not history.header.fan_out:
        receipt = int(answered[0])
        text = (
            f"{found.say(send)} was confirmed, and {found.say(receipt)} was the only receipt, "
            f"which was never acknowledged"
        )
        return (send, receipt), text
    return (send,), text


def _excuses(history: History, takes: Int64s) -> list[int]:
    """Return the time until which each excuse covers what was sent, the shortest first."""
    kills = {}
    for p in np.unique(history.process[takes]).tolist():
        names = {str(history.processes[p]), history.name(history.processes[p])}
        times = [f.start_ns for f in history.faults if f.f in ENDINGS and str(f.value) in names]
        if times:
            kills[p] = max(times)
    open_ = takes[(history.outcome[takes] != OK) & (history.outcome[takes] != FAIL)]
    until = [kills.get(int(history.process[i]), FOREVER) for i in open_]
    until += [time for time in kills.values() for _ in range(history.header.in_flight)]
    return sorted(until)
