"""Draws the conclusion from needs, candidates and evidence. Pure, and never extrapolates.

A candidate is *rejected* by the first constraint that it breaks, as it declares or as a run shows. It is
*open* where no run shows what must be known. Otherwise it *fits*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from ipclab.backends.base import OptionValue
from ipclab.choose.candidates import Candidate
from ipclab.choose.claims import about
from ipclab.choose.evidence import Evidence, Fault, Load
from ipclab.choose.needs import EVENTS, Needs
from ipclab.faults.spec import MOMENTS as ALL_MOMENTS
from ipclab.faults.spec import Moment, Target

SCHEMA_VERSION = 1
Constraint = Literal[
    "fan-out", "producers", "consumers", "servers", "hosts", "size",
    "unsafe", "overload", "expired", "consumer", "producer", "broker", "reboot", "connection", "repeat",
    "order",
    "hangs", "stops", "lost", "repeated", "reordered", "broken", "rate", "p99",
]  # fmt: skip
"""What can rule a candidate out. From ``hangs`` on, a run has shown it; the others are declared."""
Gap = Literal["no run", "no server", "settings", "too few samples", "other programs", "undecided"]
"""Why nothing is known: there is no run, and perhaps no server here to make one, or none can be made under
settings of a server; or the run has too few samples, others used the machine meanwhile, or the checks could
not decide."""
BUSY_CORES = 0.5
"""Processors in use by other programs, from which on a limit that was missed proves nothing."""
LEAST_CARRIED = 0.95
MOST_SLOW = 0.01
"""The share of the jobs that may be slower than the limit for p99."""
LEAST_SAMPLES = 1000
"""Jobs without which a share of one in a hundred shows little."""
MOMENTS: dict[Target, tuple[Moment, ...]] = {
    "consumer": ("working",),
    "producer": ("busy",),
    "broker": ("busy",),
}
"""The moments of a kill that must have been tried for a target. Others count where a run has them."""


Assumption = Literal["reboot", "reconnect", "network"]
"""What no run can show, or the user's program must do: see ``Fit``."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that is ruled out, and the one constraint that did it.

    ``needed`` and ``found`` are the values that contradict each other. ``run`` is the run that shows it,
    empty where it is declared; ``fault`` the cell of the fault matrix, such as ``kill consumer, busy``.
    """

    backend: str
    settings: dict[str, str]
    constraint: Constraint
    needed: str | float
    found: str | float
    run: str = ""
    fault: str = ""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must be known and is not: the load, or a fault of this target."""

    gap: Gap
    target: Target | None = None


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate about which too little is known. ``load`` was measured, and proves nothing."""

    backend: str
    settings: dict[str, str]
    missing: list[Missing]
    load: Load | None = None


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that fits, and what shows it.

    ``options`` are all its settings, the defaults included. ``assumed``: a ``reboot`` is declared only;
    clients must ``reconnect`` after the broker's death; the ``network`` between hosts was not measured.
    ``claims`` are the names of claims of the study notes about it.
    """

    backend: str
    options: dict[str, OptionValue]
    settings: dict[str, str]
    broker: str | None
    load: Load | None
    faults: list[Fault]
    assumed: list[Assumption]
    claims: list[str]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """``fits`` has the chosen one first. ``tied`` of them, the first included, cannot be told apart by their
    latency; 0 where no load was asked for."""

    ipclab_choose: int = SCHEMA_VERSION
    needs: Needs
    fits: list[Fit]
    tied: int
    rejected: list[Rejected]
    open: list[Open]


def conclude(
    needs: Needs,
    candidates: Sequence[Candidate],
    evidence: Evidence,
    absent: frozenset[str] = frozenset(),
) -> Decision:
    """Return which candidates fit, the best first, and why the others do not.

    ``absent`` are the kinds of servers that this machine does not have, so that nothing can be measured.
    """
    fits: list[Fit] = []
    rejected: list[Rejected] = []
    open_: list[Open] = []
    for candidate in candidates:
        match _judge(needs, candidate, evidence):
            case Fit() as fit:
                fits.append(fit)
            case Rejected() as one:
                rejected.append(one)
            case Open() as unknown:
                open_.append(_without_server(unknown) if candidate.broker in absent else unknown)
    ranked, tied = _ranked(fits)
    return Decision(needs=needs, fits=ranked, tied=tied, rejected=rejected, open=open_)


def _without_server(unknown: Open) -> Open:
    missing = [
        Missing(gap="no server" if m.gap == "no run" else m.gap, target=m.target) for m in unknown.missing
    ]
    return msgspec.structs.replace(unknown, missing=missing)


def _ranked(fits: Sequence[Fit]) -> tuple[list[Fit], int]:
    """Return the fits with the best first, and how many share its rank."""

    def p99(fit: Fit) -> float:
        found = fit.load.p99_ns if fit.load else None
        return float("inf") if found is None else found

    def simplicity(fit: Fit) -> tuple[bool, int]:
        return (fit.broker is not None, len(fit.settings))

    in_order = sorted(fits, key=p99)
    if not in_order or in_order[0].load is None:
        return sorted(fits, key=simplicity), 0
    tied = [fit for fit in in_order if _overlap(fit.load, in_order[0].load)]
    others = [fit for fit in in_order if fit not in tied]
    return [*sorted(tied, key=simplicity), *others], len(tied)


def _overlap(one: Load | None, best: Load | None) -> bool:
    """Return whether the p99 of the repeats of two loads overlap, so that neither is known to be lower."""
    if one is None or best is None:
        return False
    if one is best:
        return True
    if one.p99_range_ns is None or best.p99_range_ns is None:
        return one.p99_ns is None or one.p99_ns == best.p99_ns
    return one.p99_range_ns[0] <= best.p99_range_ns[1]


def _judge(needs: Needs, candidate: Candidate, evidence: Evidence) -> Fit | Rejected | Open:
    for rejected in _declared(needs, candidate):
        return rejected
    missing: list[Missing] = []
    faults: list[Fault] = []
    for target in _targets(needs):
        newest = _newest(evidence.faults.get(candidate.key, ()), target)
        for rejected in _suffered(needs, candidate, newest):
            return rejected
        if gap := _gap(newest, target):
            unmeasured = gap == "no run" and candidate.settings and target != "broker"
            missing.append(Missing(gap="settings" if unmeasured else gap, target=target))
        faults += sorted(newest, key=lambda cell: ALL_MOMENTS.index(cell.moment))
    load: Load | None = None
    if needs.has_load:
        load = _load(needs, evidence.loads.get(candidate.key, ()))
        if load is None:
            missing.append(Missing(gap="settings" if candidate.settings else "no run"))
        else:
            ruled = _loaded(needs, candidate, load)
            if isinstance(ruled, Rejected):
                return ruled
            if ruled is not None:
                missing.append(Missing(gap=ruled))
    settings = dict(candidate.settings)
    if missing:
        return Open(backend=candidate.name, settings=settings, missing=missing, load=load)
    assumed: list[Assumption] = ["reboot"] if "reboot" in needs.survive else []
    if candidate.broker is not None and needs.survive & {"broker", "reboot"}:
        assumed.append("reconnect")
    if needs.hosts > 1:
        assumed.append("network")
    return Fit(
        backend=candidate.name,
        options=dict(candidate.options),
        settings=settings,
        broker=candidate.broker,
        load=load,
        faults=faults,
        assumed=assumed,
        claims=about(candidate.variant.name),
    )


def _declared(needs: Needs, candidate: Candidate) -> Iterator[Rejected]:
    """Yield what the declarations rule out, the plainest first."""
    declared = candidate.declared

    def no(constraint: Constraint, needed: str | float, found: str | float) -> Rejected:
        return _rejected(candidate, constraint, needed, found)

    if not declared.safe:
        yield no("unsafe", "safe", "unsafe")
    if declared.fan_out:
        yield no("fan-out", "one worker", "every worker")
    if candidate.max_producers is not None and needs.producers > candidate.max_producers:
        yield no("producers", needs.producers, candidate.max_producers)
    if candidate.max_consumers is not None and needs.consumers > candidate.max_consumers:
        yield no("consumers", needs.consumers, candidate.max_consumers)
    if needs.servers is not None and candidate.broker is not None and candidate.broker not in needs.servers:
        yield no("servers", ", ".join(sorted(needs.servers)) or "none", candidate.broker)
    if needs.hosts > 1 and declared.reach != "network":
        yield no("hosts", needs.hosts, declared.reach)
    most = declared.max_message_bytes
    if needs.size_bytes is not None and most is not None and needs.size_bytes > most:
        yield no("size", needs.size_bytes, most)
    if "lose" not in needs.may:
        yield from _losses(needs, candidate)
    # Only what may be delivered again can come twice: a kill is needed to see it.
    if "repeat" not in needs.may and declared.delivery == "at-least-once" and "consumer" in needs.survive:
        yield no("repeat", "once", declared.delivery)
    if "reorder" not in needs.may and declared.order == "none":
        yield no("order", "per-producer", declared.order)


def _losses(needs: Needs, candidate: Candidate) -> Iterator[Rejected]:
    may_lose = candidate.declared.may_lose
    if "overload" in may_lose:
        yield _rejected(candidate, "overload", "no loss", "overload")
    if "expired" in may_lose:
        yield _rejected(candidate, "expired", "no loss", "expired")
    for event in EVENTS:
        if event not in needs.survive:
            continue
        cause = "broker crash" if event == "reboot" else f"{event} crash"
        if cause in may_lose:
            yield _rejected(candidate, event, "no loss", cause)
        if event in ("broker", "reboot") and candidate.declared.durability == "none":
            yield _rejected(candidate, event, "disk", candidate.declared.durability)
    if needs.hosts > 1 and "connection loss" in may_lose:
        yield _rejected(candidate, "connection", "no loss", "connection loss")


def _targets(needs: Needs) -> list[Target]:
    """Return the targets whose kill must have been survived."""
    found: list[Target] = []
    for event in EVENTS:
        target: Target = "broker" if event in ("broker", "reboot") else event  # type: ignore[assignment]
        if event in needs.survive and target not in found:
            found.append(target)
    return found


def _newest(cells: Sequence[Fault], target: Target) -> list[Fault]:
    """Return the newest cell of each moment of a kill; they are given with the newest run first."""
    found: dict[Moment, Fault] = {}
    for cell in cells:
        if cell.trials and (cell.action, cell.target) == ("kill", target):
            found.setdefault(cell.moment, cell)
    return list(found.values())


def _suffered(needs: Needs, candidate: Candidate, cells: Sequence[Fault]) -> Iterator[Rejected]:
    """Yield what the kills of these cells rule out."""
    for cell in cells:
        fault = f"{cell.action} {cell.target}, {cell.moment}"

        def no(constraint: Constraint, needed: str | float, found: str | float) -> Rejected:
            return _rejected(candidate, constraint, needed, found, run=cell.run, fault=fault)  # noqa: B023

        if cell.verdict == "broken":
            yield no("broken", "as declared", "broken")
        if cell.hung:
            yield no("hangs", "goes on", cell.hung[0])
        if cell.lost and "lose" not in needs.may:
            yield no("lost", 0, cell.lost)
        if cell.duplicated and "repeat" not in needs.may:
            yield no("repeated", 0, cell.duplicated)
        if cell.reordered and "reorder" not in needs.may:
            yield no("reordered", 0, cell.reordered)
        if cell.verdict in ("stopped", "hung") and cell.target != "broker":
            # The clients of a killed server get an error, and a program must connect again.
            yield no("stops", "goes on", cell.gave_up[0] if cell.gave_up else "nothing came afterwards")


def _gap(cells: Sequence[Fault], target: Target) -> Gap | None:
    """Return why these cells do not show what a kill of the target does; None where they do."""
    if not set(MOMENTS[target]) <= {cell.moment for cell in cells}:
        return "no run"
    return "undecided" if any(cell.verdict in ("unknown", "failed") for cell in cells) else None


_LOAD = (
    "rate_per_s",
    "size_bytes",
    "smallest_bytes",
    "payload",
    "work",
    "producers",
    "consumers",
)
"""What a measured load must have in common with the one that is needed."""


def _load(needs: Needs, loads: Sequence[Load]) -> Load | None:
    """Return the newest load that is exactly the one that is needed."""
    for load in loads:
        same = all(getattr(load, name) == getattr(needs, name) for name in _LOAD)
        if same and load.failing == 0:
            return load
    return None


def _loaded(needs: Needs, candidate: Candidate, load: Load) -> Rejected | Gap | None:
    """Return what this load rules out or why it shows too little; None where it is carried as needed."""

    def no(constraint: Constraint, needed: str | float, found: str | float) -> Rejected:
        return _rejected(candidate, constraint, needed, found, run=load.run)

    if load.verdict == "broken":
        return no("broken", "as declared", load.reasons[0] if load.reasons else "broken")
    if load.lost and "lose" not in needs.may:
        return no("lost", 0, load.lost)
    if load.carried is None or load.verdict in ("unknown", "failed", "hung", "unavailable"):
        return "undecided"
    if load.void and load.void == load.repeats:
        return "other programs"
    assert needs.rate_per_s is not None
    if load.carried < LEAST_CARRIED:
        busy = needs.p99_ns is None and load.others_cores is not None and load.others_cores > BUSY_CORES
        return "other programs" if busy else no("rate", needs.rate_per_s, load.carried * needs.rate_per_s)
    if needs.p99_ns is None:
        return None
    if load.slow_share is None or load.samples < LEAST_SAMPLES:
        return "other programs" if load.void else "too few samples"
    return no("p99", needs.p99_ns, load.slow_share) if load.slow_share > MOST_SLOW else None


def _rejected(
    candidate: Candidate,
    constraint: Constraint,
    needed: str | float,
    found: str | float,
    *,
    run: str = "",
    fault: str = "",
) -> Rejected:
    return Rejected(
        backend=candidate.name,
        settings=dict(candidate.settings),
        constraint=constraint,
        needed=needed,
        found=found,
        run=run,
        fault=fault,
    )
