"""Several results of the same experiment taken together, as one result with more repeats. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ipclab.results.result import Result


def merged(parts: Sequence[Result]) -> Result:
    """Return one result with the trials of all parts; repeats are numbered through.

    Conditions are those of the first part. Raise ValueError where there is none.
    """
    if not parts:
        raise ValueError("no results, nothing to merge")
    trials = []
    before = 0
    for part in parts:
        for trial in part.trials:
            spec = msgspec.structs.replace(trial.spec, repeat=trial.spec.repeat + before)
            trials.append(msgspec.structs.replace(trial, spec=spec))
        before += 1 + max((trial.spec.repeat for trial in part.trials), default=-1)
    gone = {(one.backend, one.reason): one for part in parts for one in part.unavailable}
    return msgspec.structs.replace(
        parts[0],
        ended_utc=parts[-1].ended_utc,
        complete=all(part.complete for part in parts),
        unavailable=list(gone.values()),
        trials=trials,
    )
