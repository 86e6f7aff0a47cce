"""Two sides in one session, in turns A B B A, on the same servers: the strong form of a comparison.

Each turn is one repeat of the whole experiment by ``python -m ipclab run`` of that side. A drift of the
machine affects both sides equally, so it does not look like a change of the code.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ipclab import brokers, lab
from ipclab.brokers import ProviderName, kinds
from ipclab.experiment import Experiment, Request
from ipclab.gate import child, repeats
from ipclab.gate.merge import merged
from ipclab.gate.sides import Interpreter
from ipclab.results.result import Result

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """The results of both sides, with the same number of repeats."""

    old: Result
    new: Result


def run(
    experiment: Experiment,
    request: Request,
    options: Sequence[str],
    sides: tuple[Interpreter, Interpreter],
    *,
    provider: ProviderName | None = None,
    install: bool | None = None,
    on_event: OnEvent,
) -> Pair:
    """Run both sides, old and new, in turns, and return their results.

    ``options`` are those of ``ipclab run`` for each turn, without repeats and seed. Raise UsageError or a
    subclass before anything is started, BrokerUnavailableError where no server is available, RunFailedError
    where a turn has no result.
    """
    plan = experiment.plan(replace(request, repeats=1))
    wanted = sorted({kind for spec in plan.trials if (kind := lab.broker_of(spec))})
    if any(lab.is_hard_on_its_broker(spec) for spec in plan.trials):
        # These trials kill their server or change its settings, so each turn has one of its own.
        wanted = []
    with (
        brokers.acquire(wanted, provider=provider, install=install, on_event=on_event) as fleet,
        tempfile.TemporaryDirectory(prefix="ipclab-turns-", ignore_cleanup_errors=True) as folder,
    ):
        shared = {
            kinds.get(kind).variables[0]: broker.url
            for kind, broker in fleet.brokers.items()
            if kinds.get(kind).variables
        }
        if provider is not None and not wanted:
            options = [*options, "--provider", provider]
        session = _Session(experiment.name, tuple(options), sides, shared, Path(folder), on_event)
        many = request.repeats or repeats.FIRST
        session.play(0, many, request.seed)
        if request.repeats is None and repeats.wants_more([session.result(0), session.result(1)]):
            on_event(f"repeats vary by more than 10 %: {repeats.MORE} more of each side")
            session.play(many, repeats.MORE, request.seed)
        return Pair(session.result(0), session.result(1))


def turns(first: int, many: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each turn's repeat and its side, 0 or 1: A B B A A B B A …"""
    for number in range(first, first + many):
        yield from ((number, side) for side in ((0, 1) if number % 2 == 0 else (1, 0)))


class _Session:
    def __init__(
        self,
        experiment: str,
        options: tuple[str, ...],
        sides: tuple[Interpreter, Interpreter],
        shared: Mapping[str, str],
        folder: Path,
        on_event: OnEvent,
    ) -> None:
        self._experiment = experiment
        self._options = options
        self._sides = sides
        self._environ = {**os.environ, **shared}
        self._folder = folder
        self._on_event = on_event
        self._parts: tuple[list[Result], list[Result]] = ([], [])

    def play(self, first: int, many: int, seed: int) -> None:
        """Run ``many`` repeats of both sides, the first being number ``first``."""
        for number, side in turns(first, many):
            if side == number % 2:
                self._on_event(f"repeat {number + 1}, {many + first} in all, of both sides in turns")
            self._parts[side].append(self._turn(side, number, seed + number))

    def result(self, side: int) -> Result:
        """Return all repeats of a side. The load is that before the first turn, which both sides share."""
        whole = merged(self._parts[side])
        load = self._parts[0][0].environment.load_1min
        machine = whole.environment
        return msgspec.structs.replace(whole, environment=msgspec.structs.replace(machine, load_1min=load))

    def _turn(self, side: int, number: int, seed: int) -> Result:
        options = [*self._options, "--repeats", "1", "--seed", str(seed)]
        folder = self._folder / f"{number}-{side}"
        return child.run(self._sides[side], self._experiment, options, self._environ, folder)
