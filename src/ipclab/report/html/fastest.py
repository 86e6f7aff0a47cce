"""The fastest rows of each guarantee class: one card per class, the strongest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.host.texts import tr
from ipclab.report import family
from ipclab.report.html import words
from ipclab.report.html.run import Run
from ipclab.results import units
from ipclab.results.rows.row import Row
from ipclab.results.verdict import SOUND


@dataclass(frozen=True, slots=True)
class Entry:
    """A row on a card. ``family`` is the CSS class of its family, ``sign`` its shape as a character."""

    name: str
    family: str
    sign: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """``how`` is ``one at a time`` or ``in batches``, empty where a class has only one of them. ``ranked``
    is False where there were too few repeats to tell rows apart."""

    how: str
    entries: tuple[Entry, ...]
    ranked: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A class of guarantees, and the best rows in it; ``note`` says why there is none."""

    title: str
    choices: tuple[Choice, ...]
    note: str = ""


def cards(run: Run) -> list[Card]:
    """Return the cards of a run; empty where it measured no channel."""
    return [_card(run, title, rows) for title, rows in run.groups("channel").items()]


def _card(run: Run, title: str, rows: Sequence[Row]) -> Card:
    sound = [row for row in rows if row.verdict in SOUND and row.speed is not None]
    if not sound:
        return Card(title, (), tr("no row of this class did what it declares"))
    single = [row for row in sound if row.window in (None, 1)]
    batch = [row for row in sound if row not in single]
    parts = [(tr("in batches"), batch), (tr("one at a time"), single)]
    named = bool(single and batch)
    return Card(title, tuple(_choice(run, how if named else "", some) for how, some in parts if some))


def _choice(run: Run, how: str, rows: Sequence[Row]) -> Choice:
    """Return the rows that share the best rank among these, or the fastest one where none is ranked."""
    ranked = [row for row in rows if row.rank is not None]
    if not ranked:
        return Choice(how, (_entry(run, rows[0]),), ranked=len(rows) == 1)
    best = min(map(_place, ranked))
    return Choice(how, tuple(_entry(run, row) for row in ranked if _place(row) == best), ranked=True)


def _place(row: Row) -> int:
    assert row.rank is not None
    return int(row.rank.removesuffix("="))


def _entry(run: Run, row: Row) -> Entry:
    kind = family.of(row.name)
    figures = [words.rate(figure)] if (figure := words.speed(row)) is not None else []
    if (found := words.latency(row)) is not None:
        known = [(name, ns) for name, ns in (("p50", found.p50_ns), ("p99", found.p99_ns)) if ns is not None]
        figures += [f"{name} {units.duration(ns)}" for name, ns in known]
    return Entry(run.label(row), kind.name, kind.sign, tuple(figures))
