"""Converts a result of version 1 of the schema, as decoded JSON, into one of version 2.

In version 1 the field ``broken`` of ``Safety``, ``Ledger`` and ``CounterVerdict`` had sentences. Since
version 2 it has breaches, each with a kind and an amount. The sentences are those that ipclab wrote: each is
recognised by its whole form, from its first word on, and a sentence of unknown form is of the kind ``other``.

For a trial that did not finish, version 1 called messages lost for which the lab had only not waited.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ipclab.checks.breach import Breach, BreachKind
from ipclab.trial.record import TrialRecord, unfinished

VERSION = 1
_FORMS: tuple[tuple[BreachKind, str], ...] = (
    ("lost", r"lost (\d+) confirmed messages?(, where \d+ can have been held)?"),
    ("lost", r"lost (\d+) of \d+ confirmed increments"),
    ("phantom", r"shows (\d+) increments that nobody made"),
    ("duplicated", r"delivered (\d+) messages? again"),
    ("reordered", r"delivered (\d+) messages? out of their producer's order"),
    ("unexpected", r"delivered (\d+) messages? that nobody sent"),
    ("corrupted", r"delivered (\d+) messages? whose bytes were damaged"),
    ("corrupted", r"delivered (\d+) corrupted messages"),
    ("received_before_sent", r"delivered (\d+) messages? before they were sent"),
    ("race", r"declares itself safe, and: (.*)"),
    ("fix_failed", r"it did not help to set it right: .*"),
)


def upgrade(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result in version 2; the argument is not changed.

    What does not look like a result of version 1 is left for the decoder to refuse.
    """
    trials = result.get("trials")
    if not isinstance(trials, list):
        return result
    return result | {"ipclab_result": VERSION + 1, "trials": [_trial(trial) for trial in trials]}


def breach(line: str) -> Breach:
    """Return the breach that a sentence of version 1 describes."""
    for kind, form in _FORMS:
        if found := re.fullmatch(form, line, re.DOTALL):
            return Breach(kind=kind, amount=_amount(kind, found), text=line)
    return Breach(kind="other", amount=0, text=line)


def _amount(kind: BreachKind, found: re.Match[str]) -> int:
    if kind == "fix_failed":
        return 1
    return sum(map(int, re.findall(r"\d+", found[1]))) if kind == "race" else int(found[1])


def _trial(trial: Any) -> Any:
    if not isinstance(trial, dict):
        return trial
    parts = {name: _judged(trial[name]) for name in ("safety", "ledger", "counter") if trial.get(name)}
    return _without_loss(trial | parts)


def _without_loss(trial: dict[str, Any]) -> dict[str, Any]:
    """Return an unfinished trial without losses, which version 1 counted wrongly."""
    if trial.get("outcome") == "finished":
        return trial
    try:
        record = msgspec.convert(trial, TrialRecord)
    except msgspec.MsgspecError:
        return trial
    if record.outcome == "finished":
        return trial
    whole: dict[str, Any] = msgspec.to_builtins(unfinished(record, record.outcome, record.reason))
    return whole


def _judged(part: Any) -> Any:
    lines = part.get("broken") if isinstance(part, dict) else None
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        return part
    found = [breach(line) for line in lines]
    return part | {"broken": [{"kind": b.kind, "amount": b.amount, "text": b.text} for b in found]}
