"""``crash``: a channel suffers a fault while it carries messages."""

from __future__ import annotations

from ipclab.trial.safety import Scene
from ipclab.trial.workload import SHAPE, Workload, used_as


def _scene() -> Scene:
    from ipclab.trial.scenes.crash import play

    return play


CRASH = Workload(
    name="crash",
    summary="a channel suffers a fault",
    face=used_as("channel"),
    options=SHAPE | {"faults", "targets"},
    scene=_scene,
    shown_in="cells",
)
