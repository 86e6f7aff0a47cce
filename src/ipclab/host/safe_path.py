"""Keeps the helpers of multiprocessing from importing modules of the current folder.

A spawned process, the fork server and the resource tracker are started as ``python -c …``, so that the
current folder comes first on their ``sys.path``: a file ``multiprocessing.py`` there would be executed
instead of the standard library's. With ``-P`` it is not searched. Workers still get the ``sys.path`` of the
starting process, so that the modules of the user's program are found.
"""

from __future__ import annotations

import functools
from multiprocessing import util
from typing import Any

_SAFE = "-P"
_ISOLATED = "-I"


@functools.cache
def guard_helpers() -> None:
    """Make multiprocessing start its helpers with ``-P`` from now on, in this process.

    Other programs are not affected. A second call changes nothing. A fork inherits it.
    """
    module: Any = util
    flags = module._args_from_interpreter_flags

    def safe_flags() -> list[str]:
        found: list[str] = flags()
        return found if _SAFE in found or _ISOLATED in found else [*found, _SAFE]

    module._args_from_interpreter_flags = safe_flags
