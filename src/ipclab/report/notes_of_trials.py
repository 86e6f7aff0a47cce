"""Footnotes about what happened in trials: lost messages, servers that dropped items, side effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ipclab.host.texts import tr
from ipclab.report import machines
from ipclab.results import units
from ipclab.results.result import Result
from ipclab.results.rows.build import unreceived
from ipclab.results.rows.row import Row
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord

_EFFECTS_SHOWN = 4
"""How many side effects of a backend a note has; all are in the stored result."""
_SETTING_SHOWN = 40
"""How many characters of a server's setting a note has; all are in the stored result."""
_LIMITS = ("maxmemory", "maxmemory-policy", "maxbytes")


def of_trials(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    """Yield these footnotes, one line each."""
    yield from _skipped(rows)
    yield from _lost(result)
    yield from _settings(result)
    yield from _dropped(result)
    yield from _side_effects(result)
    yield from machines.notes(result)
    yield from _unaccounted(rows)
    yield from _beyond(rows)


def _skipped(rows: Sequence[Row]) -> Iterator[str]:
    if skipped := sum(row.skipped_sends or 0 for row in rows):
        yield (
            tr(
                "skipped: {skipped} never began, because the window was over; each "
                "counts as slower than every send that began, and a percentile that "
                "falls among them is withheld",
                skipped=units.of(skipped, "scheduled send"),
            )
        )


def _lost(result: Result) -> Iterator[str]:
    paced = [t for t in result.trials if workloads.of(t.spec).open_loop and t.outcome == "finished"]
    if lost := sum(map(unreceived, paced)):
        yield (
            tr(
                "lost: {lost} of the open loop never arrived; each counts as slower than "
                "every message that arrived, and a percentile that falls among them is "
                "withheld",
                lost=units.of(lost, "message"),
            )
        )


def _settings(result: Result) -> Iterator[str]:
    """Yield a note for each server of the user with what it says it is set to; the lab sets its own alike."""
    for broker in result.brokers:
        told = [
            f"{name}={value if len(value) <= _SETTING_SHOWN else value[:_SETTING_SHOWN] + '…'}"
            for name, value in broker.settings.items()
            if value and not value.startswith("not told")
        ]
        if broker.provider == "url" and told:
            yield tr(
                "settings: the {kind} server was set to {settings}",
                kind=broker.kind,
                settings=", ".join(told),
            )


def _dropped(result: Result) -> Iterator[str]:
    """Yield a note for each server that dropped items by its own settings; a longer run drops more."""
    by_kind: dict[str, Counter[str]] = {}
    lost: Counter[str] = Counter()
    excuse: Counter[str] = Counter()
    for trial in result.trials:
        if trial.broker is not None and trial.dropped:
            excuse[trial.broker.kind] += trial.drops_excuse or 0
            by_kind.setdefault(trial.broker.kind, Counter()).update(trial.dropped)
            lost[trial.broker.kind] += trial.ledger.lost if trial.ledger else 0
            lost[trial.broker.kind] += trial.safety.counts.get("lost", 0) if trial.safety else 0
    for kind, counted in by_kind.items():
        settings = next((broker.settings for broker in result.brokers if broker.kind == kind), {})
        why = [f"{name}={settings[name]}" for name in _LIMITS if name in settings]
        told = ", ".join(f"{name} {units.count(many)}" for name, many in sorted(counted.items()))
        more = excuse[kind] > counted.total()
        most = units.count(excuse[kind])
        at_most = tr(". The drops excuse {most} at most: one item may hold all messages under way", most=most)
        yield (
            tr(
                "dropped: the {kind} server itself dropped items while trials ran "
                "({told}), as its settings require when it is full{part}{why}; these "
                "trials lost {lost}{part2}",
                kind=kind,
                told=told,
                part=": " if why else "",
                why=", ".join(why),
                lost=units.of(lost[kind], "message"),
                part2=at_most if more else "",
            )
        )


def _side_effects(result: Result) -> Iterator[str]:
    """Yield a note for each backend that changed the process of its trials, or left something there."""
    by_backend: dict[str, list[TrialRecord]] = {}
    for trial in result.trials:
        if trial.side_effects:
            by_backend.setdefault(str(trial.spec.backend), []).append(trial)
    for backend, trials in by_backend.items():
        lines = list(dict.fromkeys(line for trial in trials for line in trial.side_effects))
        more = (
            tr("; and {lines} more", lines=len(lines) - _EFFECTS_SHOWN) if len(lines) > _EFFECTS_SHOWN else ""
        )
        yield (
            tr(
                "side effects: {backend} {lines}{more} (in {trials}); all of it ended "
                "with its trial and reached no other",
                backend=backend,
                lines="; ".join(lines[:_EFFECTS_SHOWN]),
                more=more,
                trials=units.of(len(trials), "trial"),
            )
        )


def _unaccounted(rows: Sequence[Row]) -> Iterator[str]:
    if unaccounted := sum(row.messages.unaccounted for row in rows if row.messages):
        yield (
            tr(
                "unaccounted: {unaccounted} had not arrived when a trial was ended "
                "early; nobody knows whether they were lost, so lost is {not_told}",
                unaccounted=units.of(unaccounted, "confirmed message"),
                not_told=units.NOT_TOLD,
            )
        )


def _beyond(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the note on rows that exceeded the backlog limit to tell late messages from lost ones."""
    beyond = [row for row in rows if row.beyond_backlog]
    if beyond:
        named = "; ".join(f"{row.name} {row.mode}".rstrip() for row in beyond)
        most = max(row.beyond_backlog for row in beyond)
        yield (
            tr(
                "under way: up to {most} messages more than the limit in {named}: the "
                "backlog was full and nothing arrived, or later messages overtook "
                "earlier ones; the lab sent more messages to tell late ones from lost "
                "ones",
                most=units.count(most),
                named=named,
            )
        )
