"""Results as JSON, without the fields that came later and have their default.

A result of plain bytes without work therefore looks as it did before those fields existed, also when an old
one is read and written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ipclab.results.result import Environment
from ipclab.results.rows.row import Row
from ipclab.trial.record import BrokerFacts, Latency, TrialRecord
from ipclab.trial.spec import TrialSpec

LATER: Mapping[type[msgspec.Struct], tuple[str, ...]] = {
    BrokerFacts: ("network",),
    Environment: ("cpu_limit",),
    TrialSpec: (
        "work",
        "work_fail_share",
        "payload",
        "codec",
        "smallest_bytes",
        "legs",
        "study",
        "task_fault",
        "placement",
    ),
    TrialRecord: (
        "drops_excuse",
        "work",
        "serialising",
        "segments_left",
        "copies_made",
        "tasks",
        "threads",
        "machines",
    ),
    Latency: ("same_machine",),
    Row: (
        *("work", "work_fail_share", "utilisation", "to_receipt", "handling", "jobs"),
        *("payload", "codec", "smallest_bytes", "serialising_share", "segments_left", "copies_made"),
        *("clock_bound_ns", "one_way_withheld", "same_machine", "placement"),
    ),
}
"""The fields of version 2 of the schema that its first results did not have. Each has a default."""


def encode(value: msgspec.Struct) -> bytes:
    """Return a result, a report or an entry of a journal as JSON."""
    whole: dict[str, Any] = msgspec.to_builtins(value)
    trials = [*whole.get("trials", ()), *([whole["trial"]] if "trial" in whole else ())]
    for trial in trials:
        _strip(TrialSpec, trial["spec"])
        _strip(TrialRecord, trial)
        _strip(Latency, trial["latency"])
        if trial["broker"] is not None:
            _strip(BrokerFacts, trial["broker"])
    for broker in whole.get("brokers", ()):
        _strip(BrokerFacts, broker)
    if "environment" in whole:
        _strip(Environment, whole["environment"])
    for row in whole.get("rows", ()):
        _strip(Row, row)
    return msgspec.json.encode(whole)


def used(rows: Iterable[Row]) -> set[str]:
    """Return the later fields of ``Row`` that differ from their default in one of these rows."""
    defaults = _defaults(Row)
    return {name for row in rows for name in LATER[Row] if getattr(row, name) != defaults[name]}


def _strip(struct: type[msgspec.Struct], fields: dict[str, Any]) -> None:
    defaults = _defaults(struct)
    for name in LATER[struct]:
        if fields[name] == defaults[name]:
            del fields[name]


def _defaults(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(struct)
        if not field.required
    }
