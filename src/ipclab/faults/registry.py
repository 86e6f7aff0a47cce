"""The list of all faults. The matrix, the choices of the command line, estimates and advice come from it."""

from __future__ import annotations

from collections.abc import Mapping

from ipclab.errors import UnknownNameError
from ipclab.faults.actions import cut, drop_reply, fill_memory, kill, pause, restart, terminate
from ipclab.faults.base import Fault

FAULTS: Mapping[str, Fault] = {
    module.FAULT.name: module.FAULT
    for module in (kill, terminate, pause, restart, cut, drop_reply, fill_memory)
}
"""The faults by name, in the order in which they are shown."""


def fault(name: str) -> Fault:
    """Return the fault of this name. Raise UnknownNameError."""
    found = FAULTS.get(name)
    if found is None:
        raise UnknownNameError("fault", name, FAULTS)
    return found
