"""``crash``: a channel suffers a fault while it carries messages."""

from __future__ import annotations

from ipclab.errors import UsageError
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec
from ipclab.trial.work import parse
from ipclab.trial.workload import SHAPE, Workload, used_as

MOST_WORK_NS = 100_000_000
"""With more, the hundreds of messages of such a trial would take minutes."""


def _scene() -> Scene:
    from ipclab.trial.scenes.crash import play

    return play


def _check(spec: TrialSpec) -> None:
    if spec.work and parse(spec.work).mean_ns > MOST_WORK_NS:
        raise UsageError(
            f"a consumer that is to crash does at most {MOST_WORK_NS // 10**6} ms of work per message"
        )


CRASH = Workload(
    name="crash",
    summary="a channel suffers a fault",
    face=used_as("channel"),
    options=SHAPE | {"faults", "targets", "work"},
    check=_check,
    scene=_scene,
    shown_in="cells",
)
