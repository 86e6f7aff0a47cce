"""Loads a backend that ``--backend`` names by its file or module: ``my_queue.py:Mine``, ``pkg.mod:Mine``.

Such a class needs no package and no entry point. It is tried in a child first, as the backends of packages
are. From then on this process, and every process that it forks, knows it by the ``name`` that it declares.
A worker of spawn or forkserver finds the class by pickle: see ``user_files``.

Not thread-safe; no other thread may run, because the first load of a class forks.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ipclab.backends import user_files
from ipclab.backends.foreign import collide, raised_at, refusal
from ipclab.errors import UsageError
from ipclab.host import rehearsal
from ipclab.host.text import clean, line_of
from ipclab.host.told import reraise_own_end

FORMS = "NAME:option=value,option=value, FILE.py:CLASS or MODULE:CLASS"
"""What ``--backend`` takes."""
_ADDRESS = re.compile(
    r"(?P<where>.+?\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<attribute>[^\W\d]\w*)(?::(?P<settings>.*))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a class is: ``where`` is a file or a module; ``str()`` returns the text for ``--backend``."""

    where: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.where}:{self.attribute}"

    @property
    def path(self) -> Path | None:
        """Return the absolute path of the file, None for a module."""
        return Path(os.path.abspath(self.where)) if self.where.endswith(".py") else None


@dataclass(frozen=True, slots=True)
class Guest:
    """A usable class and the address that it was loaded from."""

    kind: Any
    address: Address


_guests: dict[tuple[str, str], Guest] = {}
"""By the names of the module and the class."""


def split(text: str) -> tuple[Address, str] | None:
    """Return the address in a text for ``--backend`` and the options after it; None where it has none."""
    found = _ADDRESS.fullmatch(text.strip())
    return (Address(found["where"], found["attribute"]), found["settings"] or "") if found else None


def known() -> list[Guest]:
    """Return the guests that were loaded in this process, in the order of their loading."""
    return list(_guests.values())


def admit(address: Address, is_own: Callable[[str], bool], others: Sequence[type]) -> str:
    """Load the class, and return the name that it declares.

    ``is_own`` tells the lab's own names, and ``others`` are the classes of installed packages. A second call
    for the same class does nothing. Raise UsageError, in one line, where it cannot be used.
    """
    name = _module_name(address)
    key = (name, address.attribute)
    if key not in _guests:
        kind = _load(address, name, is_own)
        taken = [*((other, "an installed package") for other in others)]
        taken += [(guest.kind, str(guest.address)) for guest in _guests.values()]
        for other, whose in taken:
            if other is not kind and collide(other, kind):
                raise _wrong(address, f"it takes the name {kind.name}, as {whose} does; give it another name")
        _guests[key] = Guest(kind, address)
    return str(_guests[key].kind.name)


def _load(address: Address, name: str, is_own: Callable[[str], bool]) -> Any:
    if end := rehearsal.fatal(partial(_use, name, address.attribute, is_own)):
        raise _wrong(address, f"it cannot be imported and made: it {end}")
    try:
        module = importlib.import_module(name)
        kind = getattr(module, address.attribute, None)
    except BaseException as error:
        reraise_own_end(error)
        where = raised_at(error, address.path) if address.path else ""
        raise _wrong(address, f"it cannot be imported: {where}{line_of(error)}") from error
    if kind is None:
        raise _wrong(address, f"it has no class {address.attribute}{_offer(address, vars(module))}")
    if reason := refusal(kind, is_own, [], ""):
        name = getattr(kind, "name", "")
        hint = "; give it another name" if isinstance(name, str) and is_own(name) else ""
        raise _wrong(address, f"{address.attribute} {reason}{hint}")
    return kind


def _use(name: str, attribute: str, is_own: Callable[[str], bool]) -> None:
    """Import a class and make it, as ``_load`` does."""
    refusal(getattr(importlib.import_module(name), attribute), is_own, [], "")


def _module_name(address: Address) -> str:
    """Return the name to import; make sure that it can be found here and in the workers.

    The folder of a file, or the current folder for a module that is not installed, becomes the last entry of
    ``sys.path``, so that nothing in it takes the place of an installed module.
    """
    if path := address.path:
        if not path.is_file():
            raise _wrong(address, "there is no such file")
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        return user_files.module_name(path)
    top = address.where.partition(".")[0]
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        sys.path.append(str(Path.cwd()))
        importlib.invalidate_caches()
        if importlib.util.find_spec(top) is None:
            sys.path.pop()
            raise _wrong(address, f"no module is called {top!r}, installed or in this folder; write {FORMS}")
    return address.where


def _offer(address: Address, names: dict[str, Any]) -> str:
    """Return the classes of the module that may have been meant, as the end of a sentence."""
    here = [key for key, value in names.items() if isinstance(value, type) and not key.startswith("_")]
    own = [key for key in here if names[key].__module__ == names["__name__"]]
    near = difflib.get_close_matches(address.attribute, own, n=3, cutoff=0.4) or own[:5]
    return f"; it has {', '.join(near)}" if near else ""


def classes_in(path: Path) -> list[str]:
    """Return the names of the classes at the top of a file, which is not run; empty if it cannot be read."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def _wrong(address: Address, reason: str) -> UsageError:
    return UsageError(f"--backend {clean(str(address))!r}: {reason}")
