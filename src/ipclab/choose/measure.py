"""The runs that would close the gaps of a decision, each by a command that the user can give as well."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ipclab.backends.registry import Variant, channel_class, typed
from ipclab.brokers import kinds
from ipclab.choose.decide import Decision, Open
from ipclab.choose.needs import Needs
from ipclab.errors import UsageError
from ipclab.experiment import Request, load
from ipclab.faults.spec import Target
from ipclab.payload.asked import Payload
from ipclab.payload.kinds import PLAIN
from ipclab.payload.sizes import Size, SizeRange

WITHIN_S = 115.0
"""A choice measures for no longer than this."""
REPEATS = 2
SAMPLES = 1100
"""Jobs of a backend in all repeats together, so that there is a p99."""
SHORTEST_S, LONGEST_S = 1.0, 4.0
_WARMUP_S = 0.3
_START_S = 0.8
"""How long a trial takes beside its window."""
_CELL_S = 2.5
_RESTART_S = 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """One run: its experiment, the request, how long it takes about, and the command that does the same.

    ``options`` is the request as the store keeps it. ``target`` is what dies in a crash run.
    """

    experiment: Literal["latency", "crash"]
    request: Request
    options: dict[str, Any]
    seconds: float
    command: str
    target: Target | None = None


def steps(
    decision: Decision,
    within_s: float = WITHIN_S,
    done: frozenset[tuple[str, str | None]] = frozenset(),
) -> list[Step]:
    """Return the runs that fill the gaps of this decision, as far as there is time for them.

    ``done`` are the experiments, with their targets, that are not to be run again.

    The load comes first, since a backend that does not carry it needs no more. What a setting of a server
    changes is not measured here.
    """
    found: list[Step] = []
    possible = [one for one in decision.open if not one.settings and _can_be_measured(one)]
    loads = [one for one in possible if any(m.target is None for m in one.missing)]
    left_s = within_s
    loads = [] if ("latency", None) in done else loads
    if loads and (step := _latency(decision.needs, [Variant.parse(one.backend) for one in loads], left_s)):
        found.append(step)
        left_s -= step.seconds
    targets: dict[Target, list[Variant]] = {}
    for one in possible:
        for missing in one.missing:
            if missing.target is not None and ("crash", missing.target) not in done:
                targets.setdefault(missing.target, []).append(Variant.parse(one.backend))
    for target, backends in targets.items():
        step = _crash(decision.needs, backends, target, left_s)
        if step is not None:
            found.append(step)
            left_s -= step.seconds
    return found


def _can_be_measured(one: Open) -> bool:
    return all(missing.gap != "no server" for missing in one.missing)


def _latency(needs: Needs, backends: Sequence[Variant], within_s: float) -> Step | None:
    assert needs.rate_per_s is not None
    wanted_s = min(max(SAMPLES / needs.rate_per_s / REPEATS, SHORTEST_S), LONGEST_S)
    servers_s = _servers_s(backends)
    within_s -= servers_s
    # The first ones, where there is no time for all.
    each_s = REPEATS * (SHORTEST_S + _WARMUP_S + _START_S)
    backends = backends[: max(int(within_s / each_s), 0)]
    if not backends:
        return None
    room_s = within_s / (len(backends) * REPEATS) - _WARMUP_S - _START_S
    duration_s = math.floor(10 * max(min(wanted_s, room_s), SHORTEST_S)) / 10
    settings: dict[str, Any] = {
        "rate_per_s": needs.rate_per_s,
        "size_bytes": _size(needs),
        "payload": Payload(needs.payload) if needs.payload != PLAIN else None,
        "work": needs.work or None,
        "producers": needs.producers,
        "consumers": needs.consumers,
        "duration_s": duration_s,
        "warmup_s": _WARMUP_S,
        "repeats": REPEATS,
    }
    seconds = len(backends) * REPEATS * (duration_s + _WARMUP_S + _START_S) + servers_s
    given = {name: value for name, value in settings.items() if value is not None}
    return _step("latency", backends, given, seconds)


def _size(needs: Needs) -> Size | None:
    if needs.smallest_bytes and needs.size_bytes:
        return SizeRange(needs.smallest_bytes, needs.size_bytes)
    return needs.size_bytes


def _crash(needs: Needs, backends: Sequence[Variant], target: Target, within_s: float) -> Step | None:
    chosen: list[Variant] = []
    cells_s = seconds = 0.0
    for backend in backends:
        cost_s = _cells_s(backend, target)
        whole_s = cells_s + cost_s + _servers_s([*chosen, backend])
        if whole_s <= within_s:
            chosen.append(backend)
            cells_s += cost_s
            seconds = whole_s
    if not chosen:
        return None
    settings: dict[str, Any] = {"faults": ("kill",), "targets": (target,)}
    return _step("crash", chosen, settings, seconds)


def _servers_s(backends: Sequence[Variant]) -> float:
    """Return how long it takes about to start the servers of these backends."""
    found = {broker for backend in backends if (broker := channel_class(backend).broker)}
    return sum(kinds.get(broker).starts_again_s for broker in found)


def _cells_s(backend: Variant, target: Target) -> float:
    """Return how long the kills of one target take about."""
    request = Request(backends=(backend,), faults=("kill",), targets=(target,))
    try:
        cells = len(load("crash").plan(request).trials)
    except UsageError:
        return math.inf
    broker = channel_class(backend).broker
    again_s = kinds.get(broker).starts_again_s + _RESTART_S if target == "broker" and broker else _CELL_S
    return cells * again_s


_FLAGS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "producers": ("--producers", str),
    "consumers": ("--consumers", str),
    "size_bytes": ("--size", str),
    "payload": ("--payload", str),
    "work": ("--work", str),
    "rate_per_s": ("--rate", lambda value: f"{value:g}"),
    "duration_s": ("--duration", lambda value: f"{value:g}"),
    "warmup_s": ("--warmup", lambda value: f"{value:g}"),
    "repeats": ("--repeats", str),
    "faults": ("--fault", lambda value: value[0]),
    "targets": ("--target", lambda value: value[0]),
}


def _step(
    experiment: Literal["latency", "crash"],
    backends: Sequence[Variant],
    settings: dict[str, Any],
    seconds: float,
) -> Step:
    words = ["ipclab", "run", experiment]
    for backend in backends:
        words += ["--backend", typed(backend)]
    for name, value in settings.items():
        flag, written = _FLAGS[name]
        words += [flag, written(value)]
    asked = {"backends": tuple(backends), **settings, "seed": 1}
    target = settings["targets"][0] if experiment == "crash" else None
    return Step(experiment, Request(**asked), asked, seconds, shlex.join(words), target)
