"""ipclab: how Python processes can share state, measured and checked on the reader's own machine.

The names in ``__all__`` are the library's public interface (``docs/library.md``). Each is imported when it is
first used, so importing the package is cheap and starts nothing.
"""

import importlib
import os
from typing import Any

# The lab forks and blocks signals, so its process must have one thread. numpy's linear algebra, which the lab
# does not use, would start one thread for each further processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"

_FACE = {
    "Experiment": "experiment",
    "IpclabError": "errors",
    "Request": "experiment",
    "Result": "results.result",
    "Store": "results.store",
    "TrialSpec": "trial.spec",
    "Variant": "backends.registry",
    "check": "checks.verify",
    "formatted": "report.formats",
    "load": "experiment",
    "read": "results.store",
    "read_history": "history.reader",
    "rows": "results.rows.build",
    "run": "lab",
}
"""The public names, and the modules that have them."""
_RENAMED = {"read_history": "read"}

__all__ = sorted([*_FACE, "__version__"])


def __getattr__(name: str) -> Any:
    """Return a public name, from the module that has it."""
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_FACE[name]}"), _RENAMED.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
