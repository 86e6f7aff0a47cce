"""``ipclab run``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from ipclab.cli.completion import experiments
from ipclab.cli.machines import machine_options, machines_of, placement_of
from ipclab.cli.options import (
    RESULTS,
    emit,
    options_in_words,
    output_options,
    provider_options,
    shown,
    trial_options,
    writable,
)
from ipclab.cli.progress import progress
from ipclab.cli.streams import say
from ipclab.host.language import Language

_RUN_HELP = """Run the experiment NAME (default: comparison) and print its table.

\b
ipclab run
ipclab run throughput --backend pipe --backend redis-stream --size 64
ipclab run latency --backend rabbitmq:ack=manual,prefetch=10 --rate 500
ipclab run race --producers 4 --format md
ipclab run crash --backend queue --fault kill --target consumer
"""


@click.command(help=_RUN_HELP)
@click.argument("name", default="comparison", shell_complete=experiments)
@trial_options
@click.option(
    "--may-evict",
    is_flag=True,
    help="Allow a run to fill your own server until it evicts other items.",
)
@machine_options
@provider_options
@output_options
@RESULTS
def run(
    name: str,
    output: Path | None,
    format_: str,
    results: Path,
    *,
    notes: bool,
    brief: bool,
    language: Language,
    **asked: Any,
) -> int:
    """Run ``ipclab run``; its help is ``_RUN_HELP``."""
    from ipclab import lab
    from ipclab.cli.report import write_beside
    from ipclab.errors import BrokerUnavailableError
    from ipclab.experiment import Request, load
    from ipclab.results.store import Store
    from ipclab.results.verdict import exit_code

    experiment = load(name)
    provider, install = asked.pop("provider"), asked.pop("install")
    may_evict = asked.pop("may_evict")
    if asked.pop("listen") and provider is None:
        provider = "native"
    hosts, places, push = asked.pop("hosts"), asked.pop("places"), asked.pop("push")
    placement = placement_of(hosts, places)
    options = options_in_words(asked)
    request = Request(**asked, placement=placement)
    with writable(output), machines_of(hosts, push=push) as machines, progress() as observer:
        outcome = lab.run(
            experiment,
            request,
            store=Store(results),
            observer=observer,
            provider=provider,
            install=install,
            may_evict=may_evict,
            options=options,
            machines=machines,
        )
    emit(
        outcome.result,
        format_,
        output,
        folder=shown(outcome.folder),
        notes=notes,
        brief=brief,
        language=language,
    )
    say(f"kept in {outcome.folder}")
    if page := write_beside(outcome.result, outcome.folder, language):
        say(f"open it in a browser: {page}")
    if outcome.lost_brokers:
        raise BrokerUnavailableError(
            "; ".join(outcome.lost_brokers.values()) + "; the finished trials are stored"
        )
    return exit_code(outcome.result)


_DEMO_HELP = """Compare every way to share state that this machine has, and print one table.

It starts the brokers that it finds, stores the result with a page to open in a browser, and stops
the brokers.
This takes less than five minutes, and is the same as 'ipclab run' without a name.

\b
ipclab demo
ipclab demo --brief
"""

assert run.callback is not None
demo = click.Command(
    "demo",
    params=[parameter for parameter in run.params if parameter.name != "name"],
    callback=functools.partial(run.callback, "comparison"),
    help=_DEMO_HELP,
)
