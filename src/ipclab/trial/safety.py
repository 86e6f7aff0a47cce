"""Runs safety trials: from a spec to a record, by the scene of its workload.

A scene starts its own processes, logs every operation into a history, and has it checked. An error that it
raises becomes the record's reason. Whatever happens, nothing that it started is left.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipclab.backends.base import Face, OptionValue, Site
from ipclab.brokers.base import Broker
from ipclab.errors import UsageError
from ipclab.host.text import line_of
from ipclab.host.told import reraise_own_end
from ipclab.trial import phases, serving
from ipclab.trial.record import Latency, Safety, TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TaskFigures
from ipclab.trial.thread_facts import ThreadFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a scene plays. ``folder`` is for its logs and is deleted with the trial. ``history`` is the file
    in which its history is kept (None: it need not be kept); the record gives it the name
    ``history_name``."""

    spec: TrialSpec
    site: Site
    folder: Path
    broker: Broker | None
    history: Path | None
    face: Face = "channel"
    """The face of the backend that the scene uses."""
    losses: serving.Losses = field(default_factory=lambda: serving.Losses(None))
    """What the broker drops by itself meanwhile."""
    found: Callable[[Played], object] = lambda _: None
    """Called with the scene's result before it tears down, so that a hang in that cannot lose the result."""

    @property
    def history_name(self) -> str:
        """Return a name such as ``histories/0007.jsonl.gz``, or an empty one."""
        return f"{self.history.parent.name}/{self.history.name}" if self.history else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The result of a scene: the finding, the backend's options and declaration, and the stacks of processes
    that hung."""

    safety: Safety
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    declared: Mapping[str, str | int | bool | list[str] | None] = field(default_factory=dict)
    stuck: Mapping[str, str] = field(default_factory=dict)
    rate_per_s: float | None = None
    latency: Latency = field(default_factory=Latency)
    tasks: TaskFigures | None = None
    threads: ThreadFigures | None = None


Scene = Callable[[Stage], Played]


def run(
    spec: TrialSpec,
    scene: Scene,
    face: Face,
    *,
    site: Site,
    folder: Path,
    broker: Broker | None,
    history: Path | None,
) -> TrialRecord:
    """Run one safety trial. Raise UsageError or a subclass where the trial is impossible."""
    began_utc = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    facts, losses = serving.facts(broker), serving.Losses(broker)

    def record(played: Played) -> TrialRecord:
        return TrialRecord(
            spec=spec,
            began_utc=began_utc,
            outcome="finished",
            stuck=dict(played.stuck),
            options=dict(played.options),
            guarantees=dict(played.declared),
            broker=facts,
            rate_per_s=played.rate_per_s,
            safety=played.safety,
            latency=played.latency,
            tasks=played.tasks,
            threads=played.threads,
            dropped=losses.so_far(),
            drops_excuse=losses.excuse(played.safety.counts.get("attempted", 0)),
        )

    stage = Stage(
        spec=spec,
        face=face,
        site=site,
        folder=folder,
        broker=broker,
        history=history,
        losses=losses,
        found=lambda played: phases.found(record(played)),
    )
    try:
        return record(scene(stage))
    except UsageError:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a backend raises is a result, SystemExit too
        reraise_own_end(error)
        reason = line_of(error)
        return TrialRecord(spec=spec, began_utc=began_utc, outcome="failed", reason=reason, broker=facts)
