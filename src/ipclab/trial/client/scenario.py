"""The definition of a scenario: one request to a client library, with its defaults or used correctly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ipclab.history.format import Guarantee, Model
from ipclab.trial.client.bench import Bench

RIGHT = "-set-right"
Needs = Literal["nothing", "proxy", "pause", "settings"]
HARD_ON_SERVER: Mapping[Needs, str] = {
    "pause": "pauses the server",
    "settings": "changes a setting of the server",
}
"""By the need of a scenario: what it does to the server for all who use it, so only where the lab started the
server, and where no other run uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a scenario saw.

    ``finding``   what happened, in one sentence with the numbers.
    ``counts``    the numbers by name.
    ``produced``  whether the condition that the fault needs came about; if not, the scenario proves nothing.
    ``hung``      by process, where it hung when the watchdog ended it.
    ``errs``      whether the fault shows although nobody hangs and the history is valid: an error that a
                  process got for correct use, or a process that stayed where it should have ended.
    """

    finding: str
    counts: Mapping[str, int] = field(default_factory=dict)
    produced: bool = True
    hung: Mapping[str, str] = field(default_factory=dict)
    errs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario, with the library's defaults or with the fix.

    ``backend``    the backend whose client library it tests, by a name of the registry.
    ``library``    the package whose version matters; empty for Python's own.
    ``asked``      what the program asks for, and under which condition.
    ``says``       what the library with its defaults is known to tell the program.
    ``has``        the true state at that time.
    ``setting``    how the library is used in this scenario.
    ``fix``        the scenario with the fix; empty where this one is the fix.
    ``needs``      ``proxy``: a proxy between the program and the broker, which needs a plain TCP address;
                   ``pause``: a pause of the broker; ``settings``: a temporary change of a broker setting. The
                   last two need a broker that the lab started.
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
    """Return two scenarios: one with the library's defaults (``default`` says how) and one with the fix.

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
