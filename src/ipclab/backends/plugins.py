"""Loads the backends of other packages, and isolates a broken one from the rest.

A package that cannot be imported, or whose class declares what the contract does not allow, is listed as
broken with the reason. So is one that ends its process or hangs: each is tried in a child first. Everything
else works as if it were not installed.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ipclab.backends.foreign import refusal
from ipclab.host import rehearsal
from ipclab.host.text import line_of
from ipclab.host.told import reraise_own_end

ENTRY_POINT_GROUP = "ipclab.backends"
_MEND = "; repair or uninstall its package"


@dataclass(frozen=True, slots=True)
class Broken:
    """A backend that cannot be used: its entry point, the name of its class where known, and the reason.

    The reason follows the name in a sentence: ``cannot be imported: …``.
    """

    name: str
    target: str
    reason: str
    declared: str = ""

    @property
    def sentence(self) -> str:
        """Return what is wrong and what to do, in one line."""
        return f"the backend {self.name} ({self.target}) {self.reason}"


@dataclass(frozen=True, slots=True)
class Plugins:
    """The usable classes of other packages, and the broken backends."""

    found: tuple[type, ...]
    broken: tuple[Broken, ...]


@functools.cache
def load(is_own: Callable[[str], bool]) -> Plugins:
    """Import every backend of another package, once in this process. ``is_own`` tells the lab's own names."""
    found: list[type] = []
    broken: list[Broken] = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        if end := rehearsal.fatal(partial(_use, point, is_own)):
            broken.append(Broken(point.name, point.value, f"cannot be imported and made: it {end}{_MEND}"))
            continue
        try:
            loaded: Any = point.load()
        except BaseException as error:  # noqa: BLE001 - an import may raise anything, SystemExit too
            reraise_own_end(error)
            broken.append(Broken(point.name, point.value, f"cannot be imported: {line_of(error)}{_MEND}"))
            continue
        reason = refusal(loaded, is_own, found, _MEND)
        if reason:
            declared = getattr(loaded, "name", "")
            declared = declared if isinstance(declared, str) else ""
            broken.append(Broken(point.name, point.value, reason, declared))
        else:
            found.append(loaded)
    return Plugins(tuple(found), tuple(broken))


def package_of(backend: type) -> tuple[str, ...]:
    """Return the distribution whose entry point is this class; empty for the lab's own and for a file."""
    where = f"{backend.__module__}:{backend.__qualname__}"
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return tuple({point.dist.name for point in points if point.value == where and point.dist is not None})


def _use(point: importlib.metadata.EntryPoint, is_own: Callable[[str], bool]) -> None:
    """Import a backend and make it, as ``load`` does."""
    refusal(point.load(), is_own, [], _MEND)
