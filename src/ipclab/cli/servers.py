"""``ipclab up``, ``down`` and ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.options import provider_options
from ipclab.cli.streams import put, say
from ipclab.cli.tables import draw_table
from ipclab.exit_codes import ExitCode

if TYPE_CHECKING:
    from ipclab.brokers import Status


def _known(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named kinds. They are looked up only when one is named, not for ``--help``."""
    from ipclab.brokers import kind_names

    for kind in value:
        if kind not in kind_names():
            raise click.BadParameter(
                f"{kind!r} is not one of {', '.join(map(repr, kind_names()))}.", ctx, param
            )
    return value


_UP_HELP = (
    """Start the brokers KINDS (default: the three usual ones) and leave them running for later runs."""
)


@click.command(help=_UP_HELP)
@click.argument("kinds", nargs=-1, callback=_known)
@provider_options
def up(kinds: tuple[Any, ...], provider: Any, install: bool | None) -> ExitCode:
    """Run ``ipclab up``; its help is ``_UP_HELP``."""
    from ipclab import brokers
    from ipclab.errors import BrokerUnavailableError

    fleet = brokers.up(kinds or None, provider=provider, install=install, on_event=say)
    put(_status_table(brokers.status()))
    if fleet.missing:
        raise BrokerUnavailableError("; ".join(fleet.missing.values()))
    return ExitCode.SUCCESS


_DOWN_HELP = """Stop the brokers that 'ipclab up' started and the compose project, and delete their data."""


@click.command(help=_DOWN_HELP)
@click.option(
    "--url",
    "at_urls",
    is_flag=True,
    help="Stop nothing; remove what killed runs left on the servers in REDIS_URL and similar variables.",
)
def down(at_urls: bool) -> None:
    """Run ``ipclab down``; its help is ``_DOWN_HELP``."""
    from ipclab import brokers

    if at_urls:
        _remove_names()
        return
    ended = brokers.down()
    for found in ended:
        say(f"ended {found.kind} ({found.provider}, {found.where})")
    if not ended:
        say("no broker of ipclab was running")


def _remove_names() -> None:
    from ipclab.brokers import kinds, marks, url
    from ipclab.errors import BrokerUnavailableError, UsageError

    found = [broker for kind in kinds.names() if (broker := url.connect(kind)) is not None]
    if not found:
        raise UsageError("no variable names a server: set REDIS_URL, RABBITMQ_URL or MEMCACHED_URL")
    done = [removed for broker in found for removed in marks.sweep(broker.kind, broker.url)]
    for removed in done:
        say(str(removed))
    if not done:
        say(f"no killed run left anything on {', '.join(broker.masked_url for broker in found)}")
    if problems := [removed.problem for removed in done if removed.problem]:
        raise BrokerUnavailableError("; ".join(problems))


_STATUS_HELP = """Show the brokers that a run would use, and the private brokers of active runs."""


@click.command(help=_STATUS_HELP)
def status() -> None:
    """Run ``ipclab status``; its help is ``_STATUS_HELP``."""
    from ipclab import brokers

    found = brokers.status()
    if found:
        put(_status_table(found))
    else:
        say("no broker is running; 'ipclab up' starts them, and 'ipclab run' starts what it needs")


def _status_table(found: list[Status]) -> str:
    return draw_table(
        ["broker", "provider", "version", "address", "where", "state"],
        [
            [s.kind, s.provider, s.version or "–", s.masked_url or "–", s.where or "–", _state(s)]
            for s in found
        ],
    )


def _state(found: Status) -> str:
    if found.problem:
        return found.problem
    if found.held_by_run:
        return f"private to the run with pid {found.held_by_run}"
    return "up" if found.ours else "up, not ours"
