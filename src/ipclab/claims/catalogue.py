"""Finds the claims by name or by number. A claim of two parts has two files with one number."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ipclab import experiment
from ipclab.claims.base import Claim
from ipclab.errors import UnknownNameError


def folder() -> Path:
    """Return the folder of the claims, inside that of the experiments."""
    return experiment.folder() / "claims"


def path(name: str) -> Path:
    """Return the file of the claim of this name."""
    return folder() / f"{name}.py"


def load_all() -> dict[str, Claim[Any]]:
    """Return every claim by its name, in the order of their numbers."""
    found = {file.stem: _load(file) for file in sorted(folder().glob("*.py"))}
    return dict(sorted(found.items(), key=lambda item: item[1].number))


def find(wanted: Sequence[str]) -> dict[str, Claim[Any]]:
    """Return the claims of these names or numbers, in the order of their numbers; all where none is named.

    Raise UnknownNameError.
    """
    known = load_all()
    if not wanted:
        return known
    numbers = {str(claim.number) for claim in known.values()}
    for word in wanted:
        if word not in numbers and word not in known:
            raise UnknownNameError("claim", word, numbers if word.isdecimal() else known)
    return {n: claim for n, claim in known.items() if n in wanted or str(claim.number) in wanted}


def _load(file: Path) -> Claim[Any]:
    full_name = f"ipclab_claim_{file.stem}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)
    found = sys.modules[full_name].CLAIM
    assert isinstance(found, Claim)
    return found
