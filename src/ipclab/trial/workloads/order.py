"""``order``: which messages overtake which, with several producers and consumers and no fault."""

from __future__ import annotations

from ipclab.trial.safety import Scene
from ipclab.trial.workload import SHAPE, Workload, used_as


def _scene() -> Scene:
    from ipclab.trial.scenes.order import play

    return play


ORDER = Workload(
    name="order",
    summary="who overtakes whom",
    face=used_as("channel"),
    options=SHAPE,
    scene=_scene,
    shown_in="cells",
)
