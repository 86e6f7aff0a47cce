"""One side, in this process: the run that is compared with stored ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ipclab import lab
from ipclab.errors import BrokerUnavailableError
from ipclab.experiment import Experiment, Request
from ipclab.gate import repeats
from ipclab.gate.merge import merged
from ipclab.results.result import Result


@dataclass(frozen=True, slots=True)
class Ran:
    """The outcome of a side: the result, and the folders of the runs that it is made of."""

    result: Result
    folders: tuple[Path, ...]


def run(experiment: Experiment, request: Request, **settings: Any) -> Ran:
    """Run an experiment with as many repeats as a gate needs, unless the request says how many.

    ``settings`` are those of ``lab.run``. Raise what it raises, and BrokerUnavailableError where a
    server stopped answering.
    """
    chosen = replace(request, repeats=request.repeats or repeats.FIRST, every_repeat=True)
    parts = [_finished(lab.run(experiment, chosen, **settings))]
    if request.repeats is None and repeats.wants_more([parts[0].result]):
        again = replace(chosen, repeats=repeats.MORE, seed=chosen.seed + 1)
        parts.append(_finished(lab.run(experiment, again, **settings)))
    return Ran(merged([part.result for part in parts]), tuple(part.folder for part in parts))


def _finished(outcome: lab.Outcome) -> lab.Outcome:
    if outcome.lost_brokers:
        raise BrokerUnavailableError(
            "; ".join(outcome.lost_brokers.values()) + "; the finished trials are stored"
        )
    return outcome
