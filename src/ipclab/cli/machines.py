"""The options ``--host``, ``--place`` and ``--push``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ipclab.trial.machines.crew import Machines

PUSH = click.option(
    "--push",
    is_flag=True,
    help="Copy this ipclab to each machine for the time of the run; libraries must be there.",
)
"""The option that copies this version to the machines."""


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--host``, ``--place``, ``--push`` and ``--listen``."""
    command = PUSH(command)
    command = click.option(
        "--listen",
        metavar="ADDRESS",
        callback=_choose_address,
        help="Start private servers on this address of this machine, with a password, for other machines.",
    )(command)
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


def _choose_address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Put the address of ``--listen`` into the environment of this process and those that it starts."""
    if value:
        from ipclab.brokers.kinds import listening

        os.environ[listening.VARIABLE] = listening.parse(value)
    return value


def placement_of(hosts: Sequence[str], places: Sequence[str]) -> dict[str, list[int]]:
    """Return where the workers of each role run; nothing for this machine alone. Raise UsageError."""
    from ipclab.hosts import address, placement

    return placement.parse(places, address.parse_all(hosts))


@contextmanager
def machines_of(hosts: Sequence[str], *, push: bool = False) -> Iterator[Machines | None]:
    """Yield how to reach the machines; None for this machine alone. Raise UsageError."""
    from ipclab.errors import UsageError
    from ipclab.hosts import address, wheel

    if not hosts:
        if push:
            raise UsageError("--push needs machines: name them with --host")
        yield None
        return
    from ipclab.trial.machines.crew import Machines

    addresses = address.parse_all(hosts)
    with TemporaryDirectory(prefix="ipclab-wheel-") as folder:
        yield Machines(addresses=addresses, wheel=str(wheel.build(Path(folder))) if push else "")
