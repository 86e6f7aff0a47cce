"""``register``: processes race for a register, as fast as they can."""

from __future__ import annotations

from ipclab.errors import UsageError
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import PRODUCERS, TIMES, Workload, used_as


def check_warmup(spec: TrialSpec) -> None:
    """Raise UsageError where a race has no warm-up: the check covers the operations of the warm-up."""
    if spec.warmup_s <= 0:
        raise UsageError(f"warmup_s must be a number above 0, not {spec.warmup_s}")


def _scene() -> Scene:
    from ipclab.trial.scenes.loaded_race import play

    return play


REGISTER = Workload(
    name="register",
    summary="processes race for a register",
    face=used_as("register"),
    options=PRODUCERS | TIMES,
    check=check_warmup,
    scene=_scene,
    rate_field="operations_per_s",
)
