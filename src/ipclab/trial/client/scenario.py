"""What a scenario is: one thing that a program asks of a client library, as it comes or set right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ipclab.history.format import Guarantee, Model
from ipclab.trial.client.bench import Bench

RIGHT = "-set-right"
Needs = Literal["nothing", "proxy", "pause", "settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a scenario saw.

    ``finding``   what came of it in one sentence, with the numbers.
    ``counts``    the numbers by name.
    ``produced``  whether the condition came about that the fault needs; where not, nothing is shown.
    ``hung``      by process, where it was stuck when the watchdog ended it.
    ``errs``      whether the fault shows though nobody hangs and the history can be: an error that a process
                  got for a right use, or a process that stayed where it should have ended.
    """

    finding: str
    counts: Mapping[str, int] = field(default_factory=dict)
    produced: bool = True
    hung: Mapping[str, str] = field(default_factory=dict)
    errs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario, with the library as it comes or set right.

    ``backend``    whose client library it is about, by a name of the registry.
    ``library``    the package whose version matters; empty for Python's own.
    ``asked``      what the program asks for, and under which condition.
    ``says``       ``has``  what the library is known to tell the program as it comes, and what is so then.
    ``setting``    how the library is used in this scenario.
    ``fix``        the scenario in which the same is set right; empty where this is one.
    ``needs``      ``proxy``: one stands between the program and the broker, which takes an address of plain
                   TCP; ``pause``: the broker itself is paused, ``settings``: a setting of it is changed for a
                   while; both take one that the lab started.
    ``play``       carries it out; what it logs on the bench is the history.
    """

    name: str
    backend: str
    library: str
    model: Model
    guarantee: Guarantee | None
    asked: str
    says: str
    has: str
    setting: str
    fix: str
    needs: Needs
    play: Callable[[Bench], Seen]


def pair(
    name: str,
    play: Callable[..., Seen],
    *,
    backend: str,
    library: str,
    model: Model,
    asked: str,
    says: str,
    has: str,
    default: str,
    right: str,
    guarantee: Guarantee | None = None,
    needs: Needs = "nothing",
) -> tuple[Scenario, Scenario]:
    """Return a scenario with the library as it comes (``default`` says how) and, beside it, set right.

    ``play(bench, right=...)`` carries out either under the same conditions.
    """

    def one(right_one: bool) -> Scenario:
        return Scenario(
            name=name + RIGHT if right_one else name,
            backend=backend,
            library=library,
            model=model,
            guarantee=guarantee,
            asked=asked,
            says=says,
            has=has,
            setting=right if right_one else default,
            fix="" if right_one else name + RIGHT,
            needs=needs,
            play=partial(play, right=right_one),
        )

    return one(False), one(True)
