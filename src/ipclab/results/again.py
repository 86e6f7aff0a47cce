"""The command that runs an experiment again as it was run, with something changed."""

from __future__ import annotations

import shlex

from ipclab.results.result import Result

_FLAGS = {
    "backends": "--backend",
    "producers": "--producers",
    "consumers": "--consumers",
    "size_bytes": "--size",
    "rate_per_s": "--rate",
    "window": "--window",
    "start_method": "--start-method",
    "faults": "--fault",
    "targets": "--target",
    "seed": "--seed",
    "warmup_s": "--warmup",
    "duration_s": "--duration",
    "repeats": "--repeats",
}
"""By the names that options have in a result. Where a broker comes from is not kept there."""
_DEFAULTS = {"seed": "1"}
"""What is among the options although nobody asked for it."""


def command(result: Result, **changed: str) -> str:
    """``ipclab run NAME`` with the options of this run; those in ``changed`` have that value instead, and an
    empty one leaves the option out."""
    asked = result.options | changed
    words = ["ipclab", "run", result.experiment]
    for name, flag in _FLAGS.items():
        value = asked.get(name, "")
        if value and value != _DEFAULTS.get(name):
            # What may be given several times is kept as one text.
            for part in value.split(", "):
                words += [flag, part.removesuffix(".0")]
    return shlex.join(words)
