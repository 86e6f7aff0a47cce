"""What came out of the suite, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from ipclab.exit_codes import ExitCode

SCHEMA_VERSION = 1
Word = Literal["kept", "broken", "undecided"]
_FROM_GOOD_TO_BAD: tuple[Word, ...] = ("kept", "undecided", "broken")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one case.

    ``promise`` is the name of the promise, ``backend`` the backend with its options, ``window`` that of a
    channel. ``reason`` says in one line what happened instead, or why the case is undecided.
    """

    promise: str
    sentence: str
    backend: str
    window: int
    verdict: Word
    reason: str = ""
    seconds: float = 0.0

    @property
    def subject(self) -> str:
        """Return the backend, with its window if that is above 1."""
        if self.window == 1:
            return self.backend
        return f"{self.backend}{',' if ':' in self.backend else ':'}window={self.window}"


class Conformance(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the whole suite for some backends. ``versions``: of ipclab, Python and the servers."""

    ipclab_conform: int = SCHEMA_VERSION
    backends: list[str]
    versions: dict[str, str]
    outcomes: list[Outcome]

    @property
    def exit_code(self) -> ExitCode:
        """Return 1 where a promise is broken, else 3 where one is undecided or none was checked, else 0."""
        match worst(one.verdict for one in self.outcomes):
            case "broken":
                return ExitCode.BROKEN
            case "undecided":
                return ExitCode.UNKNOWN
            case "kept":
                return ExitCode.SUCCESS


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One promise in all its cases: ``kept`` of ``of``, and the cases in which it is not."""

    promise: str
    sentence: str
    verdict: Word
    kept: int
    of: int
    others: list[Outcome]


def worst(words: Iterable[Word]) -> Word:
    """Return the worst of these verdicts; ``undecided`` for none."""
    return max(words, key=_FROM_GOOD_TO_BAD.index, default="undecided")


def by_promise(outcomes: Sequence[Outcome]) -> list[Kept]:
    """Return each promise with the outcomes of its cases, in the order in which they were checked."""
    grouped: dict[str, list[Outcome]] = {}
    for one in outcomes:
        grouped.setdefault(one.promise, []).append(one)
    return [
        Kept(
            promise=promise,
            sentence=found[0].sentence,
            verdict=worst(one.verdict for one in found),
            kept=sum(one.verdict == "kept" for one in found),
            of=len(found),
            others=[one for one in found if one.verdict != "kept"],
        )
        for promise, found in grouped.items()
    ]
