"""Decides whether a class of a package or of a user can be used as a backend; if not, says why."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ipclab.backends.declared import FACES, check_class
from ipclab.errors import ContractError
from ipclab.host.text import line_of
from ipclab.host.told import reraise_own_end


def refusal(loaded: Any, is_own: Callable[[str], bool], found: Sequence[type], mend: str) -> str:
    """Return why this class cannot be used, in words that follow its name; empty where it can be.

    ``found`` are the other classes that ipclab did not bring; ``mend`` ends a sentence about broken code.
    """
    if not (isinstance(loaded, type) and issubclass(loaded, FACES)):
        return "is no Channel, Counter, Register or Mutex class"
    try:
        check_class(loaded)
    except ContractError as error:
        return f"breaks the contract of a backend: {' '.join(str(error).split())}{mend}"
    except BaseException as error:  # noqa: BLE001 - a constructor may raise anything, SystemExit too
        reraise_own_end(error)
        return f"cannot be made: {line_of(error)}{mend}"
    if is_own(loaded.name):
        return f"takes the name {loaded.name}, which is ipclab's own"
    if any(other is not loaded and collide(other, loaded) for other in found):
        return f"takes the name {loaded.name}, as another package does; uninstall one"
    return ""


def collide(one: Any, other: Any) -> bool:
    """Return whether both have the same name and the same face; a channel and a counter may share a name."""
    return one.name == other.name and any(issubclass(one, f) and issubclass(other, f) for f in FACES)


def raised_at(error: BaseException, path: Path) -> str:
    """Return the line of this file at which the error was raised, as ``line 3: ``; empty for none."""
    if isinstance(error, SyntaxError):
        return ""
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
    return f"line {lines[-1]}: " if lines else ""
