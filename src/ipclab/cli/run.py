"""``ipclab run``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ipclab.cli.options import (
    COUNT,
    RATE,
    REPEATS,
    RESULTS,
    SECONDS,
    SEED,
    SIZE,
    VARIANT,
    emit,
    output_options,
    provider_options,
    writable,
)
from ipclab.cli.progress import LineProgress, Progress, TerminalProgress
from ipclab.cli.streams import say
from ipclab.faults.spec import ACTIONS, TARGETS

_RUN_HELP = """Run the experiment NAME (default: comparison) and print its table.

\b
ipclab run
ipclab run throughput --backend pipe --backend redis-stream --size 64
ipclab run latency --backend rabbitmq:ack=manual,prefetch=10 --rate 500
ipclab run race --producers 4 --format md
ipclab run crash --backend queue --fault kill --target consumer
"""


@click.command(help=_RUN_HELP)
@click.argument("name", default="comparison")
@click.option(
    "-b",
    "--backend",
    "backends",
    type=VARIANT,
    multiple=True,
    metavar="NAME[:OPTION=VALUE,…]",
    help="Measure only this backend; repeatable. See 'ipclab backends'.",
)
@click.option("--producers", type=COUNT, help="Number of producer processes (race: of all processes).")
@click.option("--consumers", type=COUNT, help="Number of consumer processes.")
@click.option("--size", "size_bytes", type=SIZE, help="Message size: 64, 1KiB, 64KiB …")
@click.option(
    "--rate", "rate_per_s", type=RATE, help="Messages per second of all producers together (latency)."
)
@click.option("--duration", "duration_s", type=SECONDS, help="Length of the measured window, in seconds.")
@click.option(
    "--warmup",
    "warmup_s",
    type=click.FloatRange(min=0),
    help="Length of the warm-up before the window, in seconds.",
)
@click.option("--repeats", type=REPEATS, help="Number of runs of each trial.")
@click.option("--window", type=COUNT, help="Number of messages between two confirmations.")
@click.option(
    "--start-method",
    type=click.Choice(["fork", "spawn", "forkserver"]),
    help="Start method of the worker processes.",
)
@click.option(
    "--fault",
    "faults",
    type=click.Choice(ACTIONS),
    multiple=True,
    help="Inject only this fault (crash); repeatable.",
)
@click.option(
    "--target",
    "targets",
    type=click.Choice(TARGETS),
    multiple=True,
    help="Inject only faults of this target (crash); repeatable.",
)
@click.option(
    "--seed", type=SEED, default=1, show_default=True, help="Seed of message contents and schedules."
)
@click.option(
    "--may-evict",
    is_flag=True,
    help="Allow a run to fill your own server until it evicts other items.",
)
@provider_options
@output_options
@RESULTS
def run(name: str, output: Path | None, format_: str, results: Path, **asked: Any) -> int:
    """Run ``ipclab run``; its help is ``_RUN_HELP``."""
    from ipclab import lab
    from ipclab.errors import BrokerUnavailableError
    from ipclab.experiment import Request, load
    from ipclab.results.store import Store
    from ipclab.results.verdict import exit_code

    experiment = load(name)
    provider, install = asked.pop("provider"), asked.pop("install")
    may_evict = asked.pop("may_evict")
    options = {key: _text(value) for key, value in asked.items() if value not in (None, ())}
    request = Request(**asked)
    with writable(output), _progress() as progress:
        outcome = lab.run(
            experiment,
            request,
            store=Store(results),
            observer=progress,
            provider=provider,
            install=install,
            may_evict=may_evict,
            options=options,
        )
    emit(outcome.result, format_, output)
    say(f"kept in {outcome.folder}")
    if outcome.lost_brokers:
        raise BrokerUnavailableError(
            "; ".join(outcome.lost_brokers.values()) + "; the finished trials are stored"
        )
    return exit_code(outcome.result)


def _text(value: object) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    if sys.stderr.isatty():
        with TerminalProgress() as progress:
            yield progress
    else:
        yield LineProgress()
