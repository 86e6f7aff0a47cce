"""The assignment that a worker is given, and the names of the files that it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from ipclab.backends.base import Channel, Counter
from ipclab.host.link import Link
from ipclab.trial.message import tail
from ipclab.trial.spec import TrialSpec

Role = Literal["producer", "consumer", "pinger", "echoer", "adder", "owner", "stopper"]


class Part(Protocol):
    """What only the workers of one workload are given: a class in the file of that workload."""

    @property
    def backend(self) -> Channel | Counter:
        """Return the backend that the worker connects to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfChannel:
    """The part of a worker that has one end of one channel."""

    channel: Channel

    @property
    def backend(self) -> Channel:
        """Return the channel."""
        return self.channel


P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Generic[P]):
    """Everything that a worker is given. ``play`` is the function that it runs, a function of a module."""

    role: Role
    play: Callable[[Assignment[P], Link], None]
    index: int
    spec: TrialSpec
    logs: Path
    part: P

    @property
    def content(self) -> str:
        """Return the seed text of this trial's message bodies."""
        return content(self.spec, self.part.backend.site.namespace)

    @property
    def name(self) -> str:
        """Return the worker's name in every message and in its file names, such as ``producer-0``."""
        return f"{self.role}-{self.index}"


def content(spec: TrialSpec, namespace: str) -> str:
    """Return the seed text of a trial's message bodies; it differs between trials."""
    return f"{spec.seed}/{namespace}" if namespace else str(spec.seed)


def tails(spec: TrialSpec, content: str) -> list[bytes]:
    """Return the tails of the messages, one for each producer."""
    return [tail(content, producer, spec.body_bytes) for producer in range(spec.producers)]


def sends_path(logs: Path, name: str) -> Path:
    """Return the file in which this worker logs when it called ``send()`` or ``increment()``."""
    return logs / f"{name}.sends"


def returns_path(logs: Path, name: str) -> Path:
    """Return the file in which this worker logs when its calls returned."""
    return logs / f"{name}.returns"


def receipts_path(logs: Path, name: str) -> Path:
    """Return the file in which this worker logs what it received."""
    return logs / f"{name}.receipts"


def works_path(logs: Path, name: str) -> Path:
    """Return the file in which a consumer that works logs when it was done with each receipt."""
    return logs / f"{name}.works"


def history_path(logs: Path, name: str) -> Path:
    """Return the file in which a logged worker logs its part of the history."""
    return logs / f"{name}.history"
