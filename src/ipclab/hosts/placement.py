"""Which machine runs which worker: ``--place producer=1,2 --place consumer=3``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipclab.errors import UsageError
from ipclab.hosts.address import Address

ROLES = ("producer", "consumer")
FORM = "write --place producer=1,2 or --place consumer=3, with machines by number or by the host of ssh"
Placement = Mapping[str, Sequence[int]]
"""For producers and consumers: the numbers of their machines, from 1. The workers take turns."""


def parse(texts: Sequence[str], machines: Sequence[Address]) -> dict[str, list[int]]:
    """Return where the workers of each role run; a role that is not placed runs on all machines in turn.

    Raise UsageError for a role or a machine that does not exist, and for a machine that gets no role.
    """
    if not machines:
        if texts:
            raise UsageError("--place needs machines: name them with --host")
        return {}
    every = list(range(1, len(machines) + 1))
    found: dict[str, list[int]] = {}
    for text in texts:
        role, equals, names = text.partition("=")
        role = role.strip()
        if not equals or not names.strip():
            raise UsageError(f"--place {text!r}: {FORM}")
        if role not in ROLES:
            raise UsageError(f"--place {text!r}: the roles are {' and '.join(ROLES)}; {FORM}")
        found.setdefault(role, []).extend(_number(name.strip(), machines, text) for name in names.split(","))
    placed = {role: found.get(role, every) for role in ROLES}
    if idle := [number for number in every if not any(number in placed[role] for role in ROLES)]:
        raise UsageError(
            f"--place leaves nothing to machine {idle[0]}: place a role there, or leave out its --host"
        )
    return placed


def machine_of(placement: Placement, role: str, index: int) -> int:
    """Return the number of the machine on which the worker ``index`` of this role runs."""
    machines = placement[role]
    return machines[index % len(machines)]


def _number(name: str, machines: Sequence[Address], text: str) -> int:
    if name.isdecimal() and 1 <= int(name) <= len(machines):
        return int(name)
    called = [number for number, machine in enumerate(machines, 1) if machine.name and machine.name == name]
    if len(called) == 1:
        return called[0]
    if called:
        raise UsageError(f"--place {text!r}: several machines are called {name}; write their numbers")
    raise UsageError(f"--place {text!r}: there is no machine {name}, only 1 to {len(machines)}")
