"""``forced``: two processes are made to interleave, step by step."""

from __future__ import annotations

from ipclab.backends.base import Face
from ipclab.errors import UsageError
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import Workload

FORCIBLE: tuple[Face, ...] = ("counter", "register", "lock")


def _face(spec: TrialSpec) -> Face:
    return next((face for face in FORCIBLE if face == spec.scenario), "channel")


def _check(spec: TrialSpec) -> None:
    if spec.scenario not in FORCIBLE:
        raise UsageError(f"a race is forced for one of {', '.join(FORCIBLE)}, not {spec.scenario!r}")


def _scene() -> Scene:
    from ipclab.trial.scenes.forced_race import play

    return play


FORCED = Workload(
    name="forced",
    summary="two processes are made to interleave",
    face=_face,
    options=frozenset(),
    check=_check,
    scene=_scene,
    beside=True,
)
