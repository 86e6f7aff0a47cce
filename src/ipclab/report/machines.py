"""What a table says of the machines of a run on several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ipclab.host.texts import tr
from ipclab.hosts.clock_bound import ClockMap, Withheld
from ipclab.results import units
from ipclab.results.result import Result
from ipclab.trial.record import Machine


def line(result: Result) -> str:
    """Return where the workers ran, for the heading; empty for a run on one machine."""
    placed = next((trial.spec.placement for trial in result.trials if trial.spec.placement), None)
    if placed is None:
        return ""
    many = len({number for numbers in placed.values() for number in numbers})
    return tr(
        "Workers: on {machines}; producers on {producers}, consumers on {consumers}",
        machines=units.of(many, "machine"),
        producers=", ".join(map(str, placed["producer"])),
        consumers=", ".join(map(str, placed["consumer"])),
    )


def notes(result: Result) -> Iterator[str]:
    """Yield a footnote for each machine, and one about the backlog."""
    done = [(trial, trial.machines) for trial in result.trials if trial.machines is not None]
    for number in sorted({one.number for _, found in done for one in found.machines}):
        mine = [one for _, found in done for one in found.machines if one.number == number]
        yield _machine(number, mine)
    if over := max((found.overshoot for trial, found in done if trial.spec.rate_per_s is None), default=0):
        yield tr(
            "backlog: producers know the progress of other machines with a delay of up to {age}, so "
            "{messages} more than the bound may have been under way",
            age=units.duration(max(found.mirror_age_ns for _, found in done)),
            messages=units.of(over, "message"),
        )


def _machine(number: int, mine: Sequence[Machine]) -> str:
    cpu = [one.cpu_s / one.interval_s for one in mine if one.cpu_s is not None and one.interval_s]
    limits = dict.fromkeys(one.limit for one in mine if one.limit != "unknown")
    return tr(
        "machine {number}: Python {python}, {cores}, {workers} at most; workers used {used} cores; limit "
        "{limit}; clock {clock}",
        number=number,
        python=mine[0].python,
        cores=units.of(mine[0].cores, "core"),
        workers=units.of(max(len(one.workers) for one in mine), "worker"),
        used="–".join(dict.fromkeys(f"{one:.2g}" for one in (min(cpu), max(cpu)))) if cpu else "?",
        limit=", ".join(limits) or "?",
        clock=_clock([one.clock for one in mine]),
    )


def _clock(clocks: Sequence[ClockMap | Withheld]) -> str:
    maps = [one for one in clocks if isinstance(one, ClockMap) and one.before is not None]
    if any(isinstance(one, Withheld) for one in clocks):
        return tr("not mapped")
    if not maps:
        return tr("that of the trial")
    half_ns = max(one.before.bound_ns for one in maps if one.before is not None)
    drift = max((one.drift_ppm for one in maps), key=abs)
    return tr("known to ±{bound}, drift {drift} ppm", bound=units.duration(half_ns), drift=f"{drift:+.1f}")
