"""Cleans the foreign text in a trial's record, before it is stored or shown."""

from __future__ import annotations

import msgspec

from ipclab.host.text import clean
from ipclab.trial.record import BrokerFacts, Safety, TrialRecord


def cleaned(record: TrialRecord) -> TrialRecord:
    """Return the record with secrets masked and control characters escaped in all text of foreign origin.

    Names from a closed set, which the lab itself writes, stay unchanged, whatever a password may be.
    """
    return msgspec.structs.replace(
        record,
        reason=clean(record.reason),
        stuck=_each(record.stuck, lines=True),
        broker=None if record.broker is None else cleaned_broker(record.broker),
        safety=None if record.safety is None else _safety(record.safety),
        side_effects=[clean(line) for line in record.side_effects],
    )


def cleaned_broker(facts: BrokerFacts) -> BrokerFacts:
    """Return the facts with all their texts cleaned; a server may report any text."""
    return msgspec.structs.replace(
        facts, version=clean(facts.version), url=clean(facts.url), settings=_each(facts.settings)
    )


def _safety(safety: Safety) -> Safety:
    return msgspec.structs.replace(
        safety,
        refused=clean(safety.refused),
        finding=clean(safety.finding),
        hung=_each(safety.hung),
        gave_up=_each(safety.gave_up),
        counterexample=clean(safety.counterexample, lines=True),
    )


def _each(texts: dict[str, str], *, lines: bool = False) -> dict[str, str]:
    return {name: clean(text, lines=lines) for name, text in texts.items()}
