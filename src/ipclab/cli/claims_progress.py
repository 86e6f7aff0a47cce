"""What ``ipclab claims`` shows and stores while it runs."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipclab.cli.options import shown
from ipclab.cli.streams import put, say, tell, width
from ipclab.report.look import WIDTH

if TYPE_CHECKING:
    from ipclab.claims.base import Claim
    from ipclab.claims.gather import Observer
    from ipclab.claims.outcome import Conditions, Outcome, Run
    from ipclab.host.language import Language

LEAST_WIDTH = 40


class Keeper:
    """Stores what a run has settled after each claim, and says where that is if the run does not end.

    A run that ends leaves no file. One that goes on from a stored run keeps to that file.
    """

    def __init__(self, results: Path, stored: Mapping[Path, Run]) -> None:
        """Raise ResultsError where the stored runs cannot go on here, or are several."""
        from ipclab.claims import keep
        from ipclab.claims.outcome import conditions
        from ipclab.errors import ResultsError

        if len(stored) > 1:
            raise ResultsError("only one interrupted run can go on: give one --from")
        self._results = results
        self._path: Path | None = None
        self.before: Run | None = None
        for self._path, self.before in stored.items():
            keep.require_same_conditions(self.before, conditions({}), self._path)
        self._goes_on = bool(stored)

    def __enter__(self) -> Keeper:
        return self

    def keep(self, run: Run) -> None:
        """Store the run so far."""
        from ipclab.claims import keep

        if self._path is None:
            self._path = keep.new_file(self._results, run.began_utc)
        keep.write(self._path, run)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._path is None or (self._goes_on and kind is None):
            return
        if kind is None:
            self._path.unlink(missing_ok=True)
            for folder in (self._path.parent, self._path.parent.parent):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            return
        path = shlex.quote(shown(self._path))
        say(f"the claims settled so far are kept; to go on: ipclab claims --from {path}")


class _Quiet:
    """For a log: only what takes long or goes wrong."""

    def note(self, line: str) -> None:
        say(line)

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None:
        pass

    def finished(self, outcome: Outcome, conditions: Conditions) -> None:
        pass


class _Cards(_Quiet):
    """For a screen: each claim, the events of its experiment, and all of the evidence."""

    def __init__(self, language: Language, show: Callable[[str], object]) -> None:
        self._language, self._show = language, show
        self._width = max(width(WIDTH), LEAST_WIDTH)

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None:
        from ipclab.claims import words
        from ipclab.host.wrapping import wrap

        head = wrap(f"{claim.number}. {words.say(claim.statement, self._language)}", self._width, "   ")
        self._show("\n".join([*head, "", words.say(words.EVENTS, self._language)]))

    def finished(self, outcome: Outcome, conditions: Conditions) -> None:
        from ipclab.claims.table import make_card

        self._show(f"\n{make_card(outcome, conditions, self._language, width=self._width)}\n")


class _Bar(_Quiet):
    """For a terminal: the claim that is being settled, drawn only between experiments."""

    def __init__(self, total: int) -> None:
        self._total = total

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None:
        self.clear()
        tell(f"{index + 1} of {self._total}: {name}")

    def note(self, line: str) -> None:
        self.clear()
        super().note(line)

    def clear(self) -> None:
        """Clear the line."""
        tell("\r\x1b[K")


@contextlib.contextmanager
def observer(total: int, live: bool, language: Language, *, cards: bool) -> Iterator[Observer]:
    """Give what shows the progress of a run. ``live`` shows each claim as a card: on stdout if ``cards`` are
    the output, else on stderr.
    """
    if live:
        yield _Cards(language, put if cards else lambda text: tell(f"{text}\n"))
        return
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    bar = _Bar(total)
    try:
        yield bar
    finally:
        bar.clear()
