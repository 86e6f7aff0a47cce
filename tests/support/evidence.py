"""Evidence of claims, made up: as it is usually seen, and changed in some places."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from ipclab.claims import Row, Verdict, catalogue


def changed(usual: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``usual`` with these changes; a key such as ``runs.1.idle`` reaches into dicts and lists."""
    seen = copy.deepcopy(dict(usual))
    for place, value in changes.items():
        *outer, last = place.split(".")
        part: Any = seen
        for key in outer:
            part = part[int(key)] if isinstance(part, list) else part[key]
        part[int(last) if isinstance(part, list) else last] = value
    return seen


def verdict_of(name: str, seen: Mapping[str, Any]) -> Verdict:
    """Return the verdict that the claim of this name derives from the evidence."""
    claim = catalogue.find([name])[name]
    return claim.verdict(msgspec.convert(seen, claim.evidence))


def rows_of(name: str, seen: Mapping[str, Any]) -> list[Row]:
    """Return the rows in which the claim of this name shows the evidence."""
    claim = catalogue.find([name])[name]
    return list(claim.show(msgspec.convert(seen, claim.evidence)))
