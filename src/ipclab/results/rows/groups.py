"""Groups rows by their guarantees, sorts them by speed, and ranks them where a test allows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from msgspec.structs import replace

from ipclab.backends.base import Face
from ipclab.host.texts import mark, tr
from ipclab.results import units
from ipclab.results.rows import classes
from ipclab.results.rows.row import Row
from ipclab.results.stats import ranks, resolvable, separable
from ipclab.results.verdict import SOUND
from ipclab.trial import workloads

_NAMES: dict[tuple[Face, str], str] = {
    ("register", classes.SAFE.title): mark("A shared register: safe disciplines"),
    ("register", classes.UNSAFE.title): mark("A shared register: unsafe disciplines"),
    ("lock", classes.SAFE.title): mark("A lock: safe disciplines"),
    ("lock", classes.UNSAFE.title): mark("A lock: unsafe disciplines"),
}
_KINDS: tuple[Face, ...] = get_args(Face)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with the same guarantees and the same settings, best first."""

    title: str
    kind: Face
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Varying:
    """The properties in which the rows of one kind differ, so that their titles must name them."""

    shape: bool
    payload: bool
    size: bool
    pace: bool
    start_method: bool
    work: bool = False


def form(rows: Iterable[Row]) -> list[Group]:
    """Group rows by guarantee class, load, shape, message size, offered rate and workload; rank each group.

    Rows that did what they declare come first, by speed; the others follow and have no rank. Shape, size,
    rate and start method are in the title where they differ between rows of the same kind.
    """
    everything = list(rows)
    found: dict[tuple[object, ...], list[Row]] = {}
    for row in everything:
        found.setdefault(_key(row), []).append(row)
    in_order = sorted(found.items(), key=lambda item: _order(item[1][0]))
    varying = {kind: _varying([row for row in everything if row.kind == kind]) for kind in _KINDS}
    return [_group(members, _title(members[0], varying[members[0].kind])) for _, members in in_order]


def _key(row: Row) -> tuple[object, ...]:
    return (
        row.kind,
        row.guarantee_class,
        row.load,
        row.shape,
        row.payload,
        row.sizes,
        _pace(row),
        row.start_method,
        _asked(row),
        row.work,
        row.work_fail_share,
    )


def _asked(row: Row) -> str:
    if row.kind != "channel":
        return row.kind
    run = {name.partition(" ")[0] for name in row.trials}
    return next((workload.name for workload in workloads.ALL if workload.name in run), "")


def _pace(row: Row) -> float | None:
    """Return the offered rate of rows that were only paced, or None: other rows rank by goodput."""
    asked = _asked(row)
    return row.rate_per_s if row.kind == "channel" and asked and workloads.named(asked).open_loop else None


def _order(row: Row) -> tuple[int, int, str, int, int, str, int, int, float, str]:
    place = classes.titled(row.guarantee_class).place
    return (
        _KINDS.index(row.kind),
        place,
        row.load,
        row.producers,
        row.consumers or 0,
        row.payload,
        row.size_bytes or 0,
        row.smallest_bytes,
        _pace(row) or 0.0,
        row.start_method,
    )


def _group(members: Sequence[Row], title: str) -> Group:
    in_order = sorted(
        members, key=lambda row: (row.verdict not in SOUND, -(row.speed.median if row.speed else 0))
    )
    candidates = [row for row in in_order if row.verdict in SOUND and row.speed]
    samples = [row.speed.values for row in candidates if row.speed]
    rankable = _rankable([len(sample) for sample in samples])
    given = ranks(samples) if rankable else [None] * len(samples)
    placed = [
        replace(row, group=title, rank=rank, peers=len(candidates) - 1, resolves=_resolves(i, given, samples))
        for i, (row, rank) in enumerate(zip(candidates, given, strict=True))
    ]
    others = [replace(row, group=title) for row in in_order if not (row.verdict in SOUND and row.speed)]
    return Group(title=title, kind=members[0].kind, rows=(*placed, *others))


def _rankable(repeats: Sequence[int]) -> bool:
    """Return whether the test can separate any two rows with these numbers of repeats."""
    lengths = Counter(repeats)
    return any(separable(a, b) for a in lengths for b in lengths if a < b or (a == b and lengths[a] > 1))


def _resolves(place: int, given: Sequence[str | None], samples: Sequence[Sequence[float]]) -> float | None:
    """Return the smallest difference to the others of the same rank that would have been shown."""
    if given[place] is None:
        return None
    mine, others = (
        samples[place],
        [other for i, other in enumerate(samples) if i != place and given[i] == given[place]],
    )
    found = [share for other in others if (share := resolvable(mine, other)) is not None]
    return max(found) if found and len(found) == len(others) else None


def _varying(peers: Sequence[Row]) -> _Varying:
    return _Varying(
        shape=len({peer.shape for peer in peers}) > 1,
        payload=len({peer.payload for peer in peers}) > 1,
        size=len({peer.sizes for peer in peers}) > 1,
        pace=len({_pace(peer) for peer in peers}) > 1,
        start_method=len({peer.start_method for peer in peers}) > 1,
        work=len({(peer.work, peer.work_fail_share) for peer in peers}) > 1,
    )


def _title(row: Row, varying: _Varying) -> str:
    special = _NAMES.get((row.kind, row.guarantee_class))
    parts = [tr(special) if special else classes.titled(row.guarantee_class).said()]
    if row.load:
        parts.append(tr(row.load))
    if varying.shape:
        parts.append(row.shape if row.kind == "channel" else tr("{n} processes", n=row.producers))
    if varying.payload:
        parts.append(units.payload(row.payload))
    if row.sizes is not None and varying.size:
        parts.append(units.sizes(*row.sizes))
    if (pace := _pace(row)) is not None and varying.pace:
        parts.append(tr("{rate} offered", rate=units.given_rate(pace)))
    if varying.work:
        parts.append(tr("work {work}", work=row.work) if row.work else tr("no work"))
    if varying.start_method:
        parts.append(row.start_method)
    return " · ".join(parts)
