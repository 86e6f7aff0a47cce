"""The options ``--host`` and ``--place``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ipclab.trial.machines.crew import Machines


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--host`` and ``--place``."""
    command = click.option(
        "--place",
        "places",
        multiple=True,
        metavar="ROLE=MACHINE,…",
        help="Machines of the producers or the consumers, by number: producer=1,2; repeatable.",
    )(command)
    return click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="ENGINE:ADDRESS",
        help="Run the workers on this machine: ssh:USER@HOST, or exec:COMMAND that leads to a Python; "
        "repeatable.",
    )(command)


def named_machines(
    hosts: Sequence[str], places: Sequence[str]
) -> tuple[Machines | None, dict[str, list[int]]]:
    """Return the machines and the placement of the workers; None and nothing for this machine alone.

    Raise UsageError.
    """
    from ipclab.hosts import address, placement

    addresses = address.parse_all(hosts)
    placed = placement.parse(places, addresses)
    if not addresses:
        return None, placed
    from ipclab.trial.machines.crew import Machines

    return Machines(addresses=addresses), placed
