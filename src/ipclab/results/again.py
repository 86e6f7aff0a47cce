"""The command that runs an experiment again with the same options, some of them changed."""

from __future__ import annotations

import shlex

from ipclab.results.result import Result

_FLAGS = {
    "backends": "--backend",
    "producers": "--producers",
    "consumers": "--consumers",
    "size_bytes": "--size",
    "payload": "--payload",
    "codec": "--codec",
    "rate_per_s": "--rate",
    "arrivals": "--arrivals",
    "legs": "--variable-rate",
    "slo": "--slo",
    "window": "--window",
    "start_method": "--start-method",
    "faults": "--fault",
    "targets": "--target",
    "work": "--work",
    "work_fail_share": "--work-fail",
    "prefetch": "--prefetch",
    "seed": "--seed",
    "warmup_s": "--warmup",
    "duration_s": "--duration",
    "repeats": "--repeats",
}
"""By the names of the options in a result, which does not store where a broker came from."""
_DEFAULTS = {"seed": "1"}
"""Options that a result has although the user did not give them."""


def command(result: Result, **changed: str) -> str:
    """Return ``ipclab run NAME`` with the options of this run. Options in ``changed`` get that value instead;
    an empty value leaves the option out."""
    asked = result.options | changed
    words = ["ipclab", "run", result.experiment]
    for name, flag in _FLAGS.items():
        value = asked.get(name, "")
        if value and value != _DEFAULTS.get(name):
            if name == "legs":
                value = value.replace(", ", ",")
            # An option that may be given several times is stored as one text.
            for part in value.split(", "):
                words += [flag, part.removesuffix(".0")]
    return shlex.join(words)
