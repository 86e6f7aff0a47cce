"""The verdict on the declared guarantees of a trial, a row and a run, as one word and one exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ipclab.checks.breach import texts
from ipclab.exit_codes import ExitCode
from ipclab.results import searches
from ipclab.results.result import Result
from ipclab.trial.record import TrialRecord

Word = Literal["kept", "unsafe", "unknown", "failed", "hung", "broken", "unavailable"]
"""``kept``         the declared guarantee held.
``unsafe``       a discipline that declares itself unsafe; its losses are as declared.
``unknown``      no verdict is possible.
``failed``       a worker, the client or the broker gave up.
``hung``         the watchdog ended it.
``broken``       the declared guarantee did not hold.
``unavailable``  not measured at all.
"""

_OF_CHECK: dict[str, Word] = {"valid": "kept", "invalid": "broken", "unknown": "unknown"}
SOUND: frozenset[Word] = frozenset(("kept", "unsafe"))
"""Verdicts of rows that did what they declare, and so may be ranked."""
_FROM_GOOD_TO_BAD: tuple[Word, ...] = ("kept", "unsafe", "unknown", "failed", "hung", "broken", "unavailable")


def of_trial(trial: TrialRecord) -> Word:
    """Return the verdict about one trial. An observed breach outweighs a hang.

    What a safety trial brings about (a hang, a declared loss, a process that gave up) is its finding and by
    itself no breach.
    """
    if trial.safety is not None:
        word = _OF_CHECK[trial.safety.verdict]
        return "unsafe" if word == "kept" and trial.guarantees.get("safe") is False else word
    judged = [check.verdict for check in (trial.ledger, trial.counter) if check is not None]
    if "invalid" in judged:
        return "broken"
    if trial.outcome != "finished":
        return trial.outcome
    if not judged or "unknown" in judged or _is_empty(trial):
        return "unknown"
    unsafe = trial.guarantees.get("safe") is False or (trial.counter is not None and not trial.counter.safe)
    return "unsafe" if unsafe else "kept"


def reasons(trial: TrialRecord) -> list[str]:
    """Return why the verdict is not a good one, one line each; empty where it is good."""
    word = of_trial(trial)
    if word in SOUND:
        return []
    if trial.safety is not None:
        return texts(trial.safety.broken) or [trial.safety.finding or "the history could not be decided"]
    checks = (trial.ledger, trial.counter)
    found = [line for check in checks if check is not None for line in texts(check.broken)]
    if trial.outcome != "finished":
        found.append(trial.reason or f"the trial {trial.outcome}")
        if trial.ledger is not None and (many := trial.ledger.unaccounted):
            what = "message is" if many == 1 else "messages are"
            found.append(f"{many} confirmed {what} unaccounted for")
    if not found and _is_empty(trial):
        found.append("no message or update was begun: choose a longer --duration or a higher --rate")
    return found or ["the trial left nothing to judge it by"]


def _is_empty(trial: TrialRecord) -> bool:
    """Return whether nothing was attempted, so that nothing could go wrong either."""
    return not any(check.attempted for check in (trial.ledger, trial.counter) if check is not None)


def worst(words: Iterable[Word]) -> Word:
    """Return the worst of some verdicts; ``unknown`` for none."""
    return max(words, key=_FROM_GOOD_TO_BAD.index, default="unknown")


def exit_code(result: Result) -> int:
    """Return 1 where a declared guarantee was broken, else 3 where a verdict is unknown (hung and failed
    trials too, and where everything that was asked for was refused), else 0. Lost updates of a discipline
    that declares itself unsafe are no failure.

    A trial of a study may fail, as it is made to find out at which rate it does. A capacity that stays
    unknown is 3 where its backend was named. Raise ResultsError for an unreadable histogram of a study."""
    carried_out = [t for t in result.trials if not (t.safety and t.safety.refused)]
    if any(of_trial(t) == "broken" for t in carried_out):
        return ExitCode.BROKEN
    if searches.any_unknown(result.trials, named=bool(result.options.get("backends"))):
        return ExitCode.UNKNOWN
    words = {of_trial(t) for t in carried_out if t.spec.study is None}
    nothing = bool(result.trials) and not carried_out
    undecided = nothing or words & {"unknown", "failed", "hung"}
    return ExitCode.UNKNOWN if undecided else ExitCode.SUCCESS
