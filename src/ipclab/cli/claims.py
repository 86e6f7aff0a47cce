"""``ipclab claims``."""

from __future__ import annotations

import click


@click.command()
@click.argument("wanted", nargs=-1, metavar="[NAME…]")
@click.option("--live", is_flag=True, help="Show the timeline of each experiment as it happens.")
def claims(wanted: tuple[str, ...], live: bool) -> int:
    """Settle the claims NAME… (names or numbers; default: all) by experiment."""
    from ipclab.claims import catalogue
    from ipclab.claims.outcome import exit_code, settle
    from ipclab.claims.supervisor import measure

    outcomes = []
    for name, claim in catalogue.find(wanted).items():
        outcome = settle(name, claim, measure(catalogue.path(name), live=live))
        outcomes.append(outcome)
        click.echo(outcome)
    return exit_code(outcomes)
