"""``threads``: the same work in threads, processes and interpreters, or a number that they share."""

from __future__ import annotations

from ipclab.backends.base import Face
from ipclab.backends.registry import is_known
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import Workload


def _face(spec: TrialSpec) -> Face:
    return "channel" if is_known("channel", spec.backend.name) else "counter"


def _scene() -> Scene:
    from ipclab.trial.scenes.threads import play

    return play


THREADS = Workload(
    name="threads",
    summary="the same work in threads and in processes",
    face=_face,
    options=frozenset(("duration_s",)),
    scene=_scene,
    shown_in="cells",
)
