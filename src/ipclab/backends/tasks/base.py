"""The contract of a task queue: how a task is submitted, and how a worker of the framework is started."""

from __future__ import annotations

import abc
import importlib.metadata
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ipclab.backends.base import BrokerKind, Guarantees, Option, OptionValue, Producer, Site
from ipclab.backends.tasks.apps.settings import VARIABLE, AppSettings
from ipclab.errors import UsageError

EXTRA = "ipclab[tasks]"
NEVER_S = 1e9
"""The value of ``redelivers_after_s`` of a framework that does not do an interrupted task again."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The command of a worker: its arguments, and what is added to its environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


class TaskQueue(abc.ABC):
    """A framework that runs tasks in worker processes. Subclasses are what the registry lists.

    ``libraries``  the distributions that it needs; their versions stand in every record.
    ``in_process`` the process that submits also owns the executors, so there is no worker to start.
    ``readable``   ``held()`` may be called while workers run, and disturbs nothing.
    ``executor_waits``  there is an executor while no task runs; otherwise each task gets a new process.
    ``notices_after_s``  the seconds within which a worker notices that its executor has died.

    The object travels to the submitter by pickle, so it holds no connection. Not thread-safe.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    broker: ClassVar[BrokerKind | None] = None
    options: ClassVar[tuple[Option, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ()
    in_process: ClassVar[bool] = False
    notices_after_s: ClassVar[float] = 0.0
    readable: ClassVar[bool] = False
    executor_waits: ClassVar[bool] = True

    def __init__(self, site: Site, **options: OptionValue) -> None:
        self.site = site
        self.chosen: Mapping[str, OptionValue] = {
            o.name: options.get(o.name, o.default) for o in self.options
        }

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Return the versions of its packages. Raise UsageError where one is missing."""
        found = {}
        for package in cls.libraries:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                raise UsageError(f"{cls.name} needs the package {package}: pip install '{EXTRA}'") from None
        return found

    @property
    def queue_name(self) -> str:
        """Return the name of this trial's queue, of letters, digits and hyphens."""
        return "".join(c if c.isalnum() else "-" for c in self.site.namespace)

    @property
    @abc.abstractmethod
    def guarantees(self) -> Guarantees:
        """Return what this task queue is declared to do with its options."""

    @property
    def redelivers_after_s(self) -> float:
        """Return the seconds after which a task of a dead worker is done again; ``NEVER_S`` for never."""
        return NEVER_S

    @abc.abstractmethod
    def setup(self) -> None:
        """Make what the queue needs before a worker starts."""

    @abc.abstractmethod
    def teardown(self) -> None:
        """Delete what this trial has left on the broker, and only that."""

    @abc.abstractmethod
    def submitter(self, index: int) -> Producer:
        """Connect a submitter in the calling process. ``send(body)`` submits the task ``effect(body)``."""

    @abc.abstractmethod
    def worker(self, index: int) -> Launch:
        """Return the command of the framework's own worker with one executor."""

    def held(self, bodies: Collection[str]) -> set[str] | None:
        """Return those of these tasks that the broker still holds; None where that cannot be read.

        Called when no worker runs any more, unless the queue is ``readable``.
        """
        return None


class FrameworkQueue(TaskQueue):
    """A task queue of a framework. Its application is a module of ``apps``."""

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of the application."""
        chosen = AppSettings(self.site.broker_url, self.queue_name, dict(self.chosen))
        return {VARIABLE: chosen.text()}

    def enter(self) -> None:
        """Give the calling process the environment of the application, before it imports it."""
        os.environ.update(self.env)

    def launch(self, module: str, *arguments: str) -> Launch:
        """Return the command that runs a module of the framework by this interpreter."""
        return Launch((sys.executable, "-m", module, *arguments), self.env)


class Submitter(Producer):
    """Submits by a call of the framework; ``close`` releases its connection."""

    def __init__(self, submit: Callable[[str], object], close: Callable[[], object] | None = None) -> None:
        self._submit = submit
        self._close = close

    def send(self, body: bytes) -> None:
        self._submit(body.decode())

    def close(self) -> None:
        if self._close is not None:
            self._close()
