"""``client``: a client library fails by itself, beside the setting that fixes it."""

from __future__ import annotations

from ipclab.backends.base import Face
from ipclab.backends.registry import is_known
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import Workload


def _face(spec: TrialSpec) -> Face:
    return "channel" if is_known("channel", spec.backend.name) else "counter"


def _scene() -> Scene:
    from ipclab.trial.scenes.client import play

    return play


CLIENT = Workload(
    name="client",
    summary="a client library errs by itself",
    face=_face,
    options=frozenset(),
    scene=_scene,
    shown_in="cells",
)
