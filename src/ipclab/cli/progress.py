"""Progress on stderr: a bar on a terminal, and elsewhere only a line for what takes long.

The bar is drawn between trials only, by the lab's own thread: a thread that draws would disturb the
measurement, and would make it unsafe to fork.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from ipclab.cli.streams import say, unfailing
from ipclab.host.text import clean
from ipclab.results.units import of
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec


class Progress(Protocol):
    """See ``ipclab.lab.Observer``."""

    def note(self, line: str) -> None: ...

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None: ...

    def finished(self, record: TrialRecord) -> None: ...


class LineProgress:
    """For a log: what is started, and trials that went wrong. No progress bar."""

    def note(self, line: str) -> None:
        say(line)

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        if number == 1:
            say(f"{of(total, 'trial')}, about {_duration(seconds_left)}")

    def finished(self, record: TrialRecord) -> None:
        if record.outcome != "finished":
            say(f"{record.spec.backend}: {record.outcome}: {record.reason}")


class TerminalProgress:
    """A bar with the current trial and the time that is left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, file=unfailing(sys.stderr))
        self._bar = Bar(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]:>12}"),
            TextColumn("{task.description}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, line: str) -> None:
        self._console.print(f"ipclab: {clean(line)}", highlight=False, markup=False, soft_wrap=True)
        self._bar.refresh()

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        what = f"{spec.workload} {spec.backend} {spec.shape}"
        self._bar.update(
            self._task,
            total=total,
            completed=number - 1,
            description=what,
            left=f"{_duration(seconds_left)} left",
            refresh=True,
        )

    def finished(self, record: TrialRecord) -> None:
        if record.outcome != "finished":
            self.note(f"{record.spec.backend}: {record.outcome}: {record.reason}")


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Give what shows the progress of a run on stderr: a bar on a terminal, else lines."""
    if sys.stderr.isatty():
        with TerminalProgress() as bar:
            yield bar
    else:
        yield LineProgress()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min"
