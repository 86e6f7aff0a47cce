"""``ipclab hosts``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipclab.cli.machines import PUSH, machines_of
from ipclab.cli.streams import put, say
from ipclab.cli.tables import draw_table
from ipclab.exit_codes import ExitCode

if TYPE_CHECKING:
    from ipclab.trial.machines.survey import Found

_CHECK_HELP = """Show whether machines can run the workers of a trial.

\b
ipclab hosts check --host ssh:user@a --host exec:'docker exec -i b python3'

Each must have the same ipclab, and reach the servers that REDIS_URL, RABBITMQ_URL and the like name. The
error of the clocks is that relative to the first machine. Exit code 2 where a machine cannot take part.
"""


@click.command(help=_CHECK_HELP)
@click.argument("action", type=click.Choice(["check"]))
@click.option(
    "--host",
    "machines",
    multiple=True,
    required=True,
    metavar="ENGINE:ADDRESS",
    help="A machine: ssh:USER@HOST, or exec:COMMAND that leads to a Python; repeatable.",
)
@PUSH
def hosts(action: str, machines: tuple[str, ...], *, push: bool) -> ExitCode:
    """Run ``ipclab hosts check``, the only action; its help is ``_CHECK_HELP``."""
    from ipclab.brokers.url import addresses, kept_from_children
    from ipclab.trial.machines.survey import examine

    with kept_from_children(), machines_of(machines, push=push) as reached:
        assert reached is not None
        found = examine(reached, addresses())
    put(draw_table(_HEADS, [_line(one) for one in found]))
    problems = [one.problem for one in found if one.problem]
    problems += [
        f"machine {one.number} does not reach {name}: {why}"
        for one in found
        for name, why in one.refused.items()
    ]
    for problem in problems:
        say(problem)
    return ExitCode.USAGE if problems else ExitCode.SUCCESS


_HEADS = ["machine", "Python", "ipclab", "cores", "load", "round trip", "clock", "servers"]


def _line(one: Found) -> list[str]:
    from ipclab.results import units

    facts = one.facts
    if facts is None:
        return [str(one.number), *["–"] * (len(_HEADS) - 1)]
    clock = (
        "–" if one.bound_ns is None else "same" if not one.bound_ns else f"±{units.duration(one.bound_ns)}"
    )
    reach = "–" if one.trip_ns is None else "no" if one.refused else "yes"
    return [
        str(one.number),
        facts.python,
        facts.version or "–",
        str(facts.cores),
        f"{facts.load:.1f}",
        "–" if one.trip_ns is None else units.duration(one.trip_ns),
        clock,
        reach,
    ]
