"""The fault of a trial: its kind, its target and its moment."""

from __future__ import annotations

import msgspec

from ipclab.faults.base import Fault
from ipclab.faults.registry import FAULTS, fault
from ipclab.faults.words import EFFECTS, MOMENTS, TARGETS, Effect, Moment, Target

__all__ = ["ACTIONS", "EFFECTS", "MOMENTS", "TARGETS", "Effect", "FaultSpec", "Moment", "Target"]

ACTIONS: tuple[str, ...] = tuple(FAULTS)


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault of a trial: the name of a fault of the registry, its target and its moment.

    Raises ValueError for an action that is not in the registry: an unknown fault is never carried out as
    another one.
    """

    action: str
    target: Target
    moment: Moment

    def __post_init__(self) -> None:
        if self.action not in FAULTS:
            raise ValueError(f"no fault is called {self.action!r}; there are {', '.join(FAULTS)}")

    def __str__(self) -> str:
        return f"{self.action} {self.target}, {self.moment}"

    @property
    def fault(self) -> Fault:
        """Return the fault itself."""
        return fault(self.action)

    @property
    def effect(self) -> Effect:
        """Return its general effect on its target."""
        return self.fault.effect

    @property
    def ends_broker(self) -> bool:
        """Return whether a broker ends and is started again."""
        return self.target == "broker" and self.effect == "ends"
