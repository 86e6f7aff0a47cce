"""``lock``: processes race for a lock, as fast as they can."""

from __future__ import annotations

from ipclab.trial.safety import Scene
from ipclab.trial.workload import PRODUCERS, TIMES, Workload, used_as
from ipclab.trial.workloads.register import check_warmup


def _scene() -> Scene:
    from ipclab.trial.scenes.loaded_race import play

    return play


LOCK = Workload(
    name="lock",
    summary="processes race for a lock",
    face=used_as("lock"),
    options=PRODUCERS | TIMES,
    check=check_warmup,
    scene=_scene,
    rate_field="operations_per_s",
)
