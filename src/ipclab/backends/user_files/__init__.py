"""The package that the files of users are imported into, so that every process finds their classes again.

A worker that is started by spawn or forkserver gets a pickled backend, and pickle imports the module that the
class names. The name of such a module contains the path of the file (``_2fhome_2fme_2fqueue_2epy`` for
``/home/me/queue.py``), so a new process needs nothing else to find it. The name cannot clash with that of any
other module, so a file may be called ``queue.py``.

A file imports its neighbours as a script does, because its folder is the last entry of ``sys.path``, which
multiprocessing passes on to the workers.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_PLAIN = re.compile(rb"[A-Za-z0-9]")
_CODED = re.compile(rb"_([0-9a-f]{2})")


def module_name(path: Path) -> str:
    """Return the name under which ``import`` finds the file at this absolute path, in any process."""
    return f"{__name__}.{_encoded(os.fsencode(path))}"


def holds(module: str) -> bool:
    """Return whether this is the name of a module of a user's file."""
    return module.startswith(f"{__name__}.")


def _encoded(path: bytes) -> str:
    return "".join(chr(one) if _PLAIN.match(bytes([one])) else f"_{one:02x}" for one in path)


def _decoded(name: str) -> str:
    return os.fsdecode(_CODED.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode()))


class _Finder:
    """Finds the modules of this package."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a file of a user; None for every other module and where the file is gone."""
        package, _, encoded = name.rpartition(".")
        if package != __name__:
            return None
        file = _decoded(encoded)
        return importlib.util.spec_from_file_location(name, file) if os.path.isfile(file) else None


sys.meta_path.append(_Finder)
