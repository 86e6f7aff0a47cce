"""The only entry point: judges a history by a model."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from ipclab.checks.bounds import check_counter, losses
from ipclab.checks.fifo import check_queue
from ipclab.checks.lock import check_lock
from ipclab.checks.messages import Terms, check_delivery
from ipclab.checks.models import REENTRANT, STEPS, Call, calls
from ipclab.checks.ranks import touching
from ipclab.checks.register import check_register
from ipclab.checks.search import search
from ipclab.checks.shrink import shrink
from ipclab.checks.verdict import Findings, Verdict, key_words
from ipclab.errors import UsageError
from ipclab.history.columns import History
from ipclab.history.format import FUNCTIONS, NAMES, SAME_AS, Guarantee, Model
from ipclab.history.values import NULL

BUDGET_S = 10.0
COUNTER_SEARCHED_BELOW = 10_000
"""Up to this many operations, the reads of a counter are searched for a common order, beyond their bounds."""
SHRINK_S = 5.0
METHODS: dict[Model, str] = {
    "register": "zones",
    "queue": "fifo rules",
    "delivery": "ledger",
    "counter": "bounds",
    "lock": "holds",
}


def check(
    history: History,
    model: Model | None = None,
    *,
    guarantee: Guarantee | None = None,
    ordered: bool | None = None,
    excuses: bool = True,
    budget_s: float = BUDGET_S,
) -> Verdict:
    """Judge a history. Pure except for the clock that limits the search.

    ``model``, ``guarantee`` and ``ordered`` override the header. A delivery that declares no guarantee is
    judged by exactly-once. One that is judged by exactly-once may lose what a consumer without an answer may
    have got, unless ``excuses`` is false. ``budget_s`` limits the search, which is needed only where the
    quick check of the model cannot decide; after it the verdict is ``unknown``. Raise UsageError where no
    model is named or the operations do not belong to it.
    """
    until_s = time.monotonic() + budget_s
    model = model or history.header.model
    if model is None:
        raise UsageError("the history names no model; give one of: " + ", ".join(FUNCTIONS))
    if model == "queue":
        # A delivery may be checked as a queue, which has no acknowledgements.
        history = history.without("ack")
    _refuse_others(history, model)
    terms = _terms(history, guarantee, ordered, excuses=excuses)
    found = _quick(history, model, terms)
    methods = [METHODS[model]]
    if model == "delivery":
        _note_terms(found, history, terms, declared=bool(guarantee or history.header.guarantee))
    if found.anomalies:
        if found.unfit:
            found.notes.append(f"{_count(len(found.unfit), 'key')} more would have needed a search")
    elif model in STEPS:
        keys = _to_search(found, history, model)
        if keys:
            methods.append("search")
            _search(found, history, model, keys, until_s)
    elif found.unfit:
        key, why = next(iter(found.unfit.items()))
        found.undecided = why + key_words(history.keys[key])
    counterexample = found.counterexample()
    word = "invalid" if found.anomalies else "unknown" if found.undecided else "valid"
    return Verdict(
        verdict=word,  # type: ignore[arg-type]
        model=model,
        methods=tuple(methods),
        operations=len(history),
        keys=len(history.keys),
        faults=len(history.faults),
        anomalies=found.anomalies,
        reason=counterexample.explanation if counterexample is not None else found.undecided,
        counterexample=counterexample,
        counts=found.counts,
        notes=tuple(found.notes),
    )


def _refuse_others(history: History, model: Model) -> None:
    own = set(FUNCTIONS[model])
    for code in sorted(set(history.f.tolist())):
        name = NAMES[code]
        if name not in own and SAME_AS.get(name) not in own:
            raise UsageError(
                f"the history has {name!r}, which is no operation of the model {model}; "
                f"it has {', '.join(FUNCTIONS[model])}"
            )


def _terms(history: History, guarantee: Guarantee | None, ordered: bool | None, *, excuses: bool) -> Terms:
    """Return the terms to check: a requested guarantee overrides the losses in the header."""
    header = history.header
    held_to = guarantee or header.guarantee or "exactly-once"
    declared = header.may_lose if guarantee is None else None
    return Terms(
        guarantee=held_to,
        ordered=header.ordered if ordered is None else ordered,
        may_lose=held_to == "at-most-once" if declared is None else declared,
        excuses=excuses and held_to == "exactly-once",
        by_ack="at-least-once" in (held_to, None if excuses else header.guarantee),
    )


def _quick(history: History, model: Model, terms: Terms) -> Findings:
    match model:
        case "register":
            return check_register(history)
        case "queue":
            return check_queue(history)
        case "lock":
            return check_lock(history)
        case "counter":
            found = check_counter(history)
            found.counts = losses(history)
            return found
        case "delivery":
            return check_delivery(history, terms)
        case _:
            assert_never(model)


def _note_terms(found: Findings, history: History, terms: Terms, *, declared: bool) -> None:
    if not declared:
        found.notes.append("no guarantee is declared; judged by exactly-once")
    if found.counts["lost"] and terms.may_lose:
        found.notes.append(f"{found.counts['lost']} lost messages do not count, because the loss is declared")
    if abandoned := found.counts["unacknowledged"]:
        found.notes.append(
            f"{abandoned} of {found.counts['lost']} lost messages were received, but never acknowledged, "
            f"and not redelivered"
        )
    if found.counts["lost_excused"]:
        excused, lost = found.counts["lost_excused"], found.counts["lost"]
        found.notes.append(
            f"{excused} of {lost} lost messages are excused by receives that never ended or kills"
        )
    if found.counts["reordered"] and "reordered" not in found.anomalies:
        found.notes.append(
            f"{found.counts['reordered']} messages came out of order, which breaks no declared guarantee"
        )
    if history.header.fan_out:
        found.notes.append("fan-out: every consumer should receive every message")


def _to_search(found: Findings, history: History, model: Model) -> list[int]:
    """Return the keys that the quick check does not decide."""
    if found.undecided:
        return []
    if model != "counter":
        for _, _, key in touching(history):
            found.unfit.setdefault(key, "the clock does not tell operations of one process apart")
        return list(found.unfit)
    if len(history) < COUNTER_SEARCHED_BELOW:
        return list(range(len(history.keys)))
    found.notes.append("reads lie within their bounds; that they fit one common order was not searched for")
    return []


def _search(found: Findings, history: History, model: Model, keys: Sequence[int], until_s: float) -> None:
    specification = REENTRANT if model == "lock" and history.header.reentrant else STEPS[model]
    initial, step = specification
    steps = 0
    for key, some in calls(history, model, keys).items():
        if _enter_causeless(found, some, model):
            continue
        outcome = search(some, initial, step, until_s=until_s)
        steps += outcome.steps
        where = key_words(history.keys[key])
        if outcome.verdict == "invalid":
            _enter(
                found, shrink(some, model, time.monotonic() + SHRINK_S, specification), model, len(history)
            )
            break
        if outcome.verdict == "unknown":
            why = found.unfit.get(key, "")
            limit = f"the search gave up after {outcome.steps} steps{where}"
            if model == "counter":
                found.notes.append(f"reads lie within their bounds; whether they fit one order: {limit}")
            else:
                found.undecided = f"{limit}; it was needed because {why}"
    found.counts["search_steps"] = steps


def _enter_causeless(found: Findings, some: Sequence[Call], model: Model) -> bool:
    """Enter answers that no operation can have caused, in any order; they need no search."""
    if model not in ("register", "queue"):
        return False
    caused = Counter(c.value for c in some if c.f in ("write", "enqueue"))
    caused.update(c.value[1] for c in some if c.f == "cas")
    answers = [c for c in some if c.f in ("read", "dequeue") and c.value != NULL]
    strange = [c.place for c in answers if c.value not in caused]
    if strange:
        text = f"{found.say(strange[0])}: nobody put that there"
        found.clash("phantom", len(strange), strange[:1], text)
    if model == "queue":
        given = Counter(c.value for c in answers)
        often = next((v for v, times in given.items() if times > caused[v] > 0), None)
        if often is not None:
            copies = [c.place for c in some if c.value == often]
            text = f"it was put in {caused[often]} times and came out {given[often]} times"
            found.clash("duplicated", given[often] - caused[often], copies, text)
    return bool(found.anomalies)


def _enter(found: Findings, left: Sequence[Call], model: Model, logged: int) -> None:
    places = [c.place for c in left if c.place < logged]
    olds = [c.value[0] for c in left if c.f == "cas" and c.required]
    lost = model == "register" and len(left) <= 4 and len(set(olds)) < len(olds)
    anomaly = "lost-update" if lost else "not-linearizable"
    text = f"no order of these {len(places)} operations, within their intervals, is one of a {model}"
    if lost:
        old = found.history.values.value(next(o for o in olds if olds.count(o) > 1))
        text = f"more than one cas found {old} there, which cannot be: {text}"
    found.clash(anomaly, 1, places, text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
