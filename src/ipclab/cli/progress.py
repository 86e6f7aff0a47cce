"""Progress on stderr: a bar on a terminal, and elsewhere only a line for what takes long.

The bar is drawn between trials only, by the lab's own thread: a thread that draws would disturb the
measurement, and would make it unsafe to fork.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from ipclab.cli.streams import say, unfailing
from ipclab.host.text import clean
from ipclab.results.units import of
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec

SPARKS = 12
"""How many finished trials the progress bar has the rates of."""
_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(rates: Sequence[float]) -> str:
    """Return a block for each rate above 0, higher for a higher one, on a logarithmic scale."""
    logs = [math.log(rate) for rate in rates if rate > 0]
    if not logs:
        return ""
    least, span = min(logs), max(logs) - min(logs)
    places = [(value - least) / span if span else 0.5 for value in logs]
    return "".join(_BLOCKS[round(place * (len(_BLOCKS) - 1))] for place in places)


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
    """A bar with the current trial, the time that is left, and the rates of the trials before it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        self._console = Console(stderr=True, file=unfailing(sys.stderr))
        self._bar = Bar(
            BarColumn(bar_width=16, table_column=Column(min_width=16)),
            MofNCompleteColumn(table_column=Column(min_width=9, no_wrap=True)),
            TextColumn(
                "{task.fields[left]}", table_column=Column(min_width=12, no_wrap=True, justify="right")
            ),
            TextColumn("{task.fields[rates]}", table_column=Column(min_width=SPARKS, no_wrap=True)),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, left="", rates="")
        self._rates: deque[float] = deque(maxlen=SPARKS)

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
            rates=sparkline(self._rates),
            refresh=True,
        )

    def finished(self, record: TrialRecord) -> None:
        if record.rate_per_s:
            self._rates.append(record.rate_per_s)
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
