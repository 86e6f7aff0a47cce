"""``ipclab list``, ``show`` and ``backends``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.completion import runs
from ipclab.cli.options import RESULTS, emit, output_options, shown
from ipclab.cli.streams import put
from ipclab.cli.tables import draw_table

if TYPE_CHECKING:
    from ipclab.backends.base import Channel, Face, Option


_LIST_EXPERIMENTS_HELP = """List the experiments and the stored results."""


@click.command("list", help=_LIST_EXPERIMENTS_HELP)
@RESULTS
def list_experiments(results: Path) -> None:
    """Run ``ipclab list``; its help is ``_LIST_EXPERIMENTS_HELP``."""
    from ipclab.experiment import load, names
    from ipclab.results.store import Store

    kept = Store(results).runs()
    put(draw_table(["experiment", "question"], [[name, load(name).question] for name in names()]))
    if kept:
        put()
        put(draw_table(["results, oldest first"], [[name] for name in kept]))


_SHOW_HELP = """Print the stored result RUN: latest, EXPERIMENT/latest, EXPERIMENT/TIME, or a path."""


@click.command(help=_SHOW_HELP)
@click.argument("run", default="latest", shell_complete=runs)
@output_options
@RESULTS
def show(run: str, format_: str, output: Path | None, results: Path, **look: Any) -> None:
    """Run ``ipclab show``; its help is ``_SHOW_HELP``."""
    from ipclab.results.store import RESULT, Store, read

    path = Store(results).find(run)
    folder = shown(path.parent) if path.name == RESULT else ""
    emit(read(path), format_, output, folder=folder, **look)


_BACKENDS_HELP = """List the backends, their declarations, and whether this machine can use them."""


@click.command(help=_BACKENDS_HELP)
def backends() -> None:
    """Run ``ipclab backends``; its help is ``_BACKENDS_HELP``."""
    from ipclab.backends import registry
    from ipclab.backends.base import Site
    from ipclab.backends.registry import Variant
    from ipclab.brokers import kind_names, outlook

    site = Site(namespace="ipclab:list")
    rows = []
    for name in registry.channel_names():
        channel = registry.channel_class(Variant(name))
        declared = channel(site).guarantees
        loses = ", ".join(sorted(declared.may_lose)) or "nothing"
        rows.append(
            [
                name,
                declared.delivery
                + (", fan-out" if declared.fan_out else "")
                + (", polling" if declared.polling else ""),
                loses,
                declared.order,
                declared.durability,
                declared.confirm,
                declared.reach,
                _shape(channel),
                channel.broker or "–",
            ]
        )
    header = ["channel", "delivery", "may lose at", "order", "durable", "confirm", "reach", "shape", "broker"]
    put(draw_table(header, rows))
    put()
    faces: tuple[Face, ...] = ("counter", "register", "lock")
    for face in faces:
        header = [face, "safe disciplines", "unsafe disciplines", "reach", "broker"]
        put(draw_table(header, [_shared(face, name) for name in registry.backend_names(face)]))
        put()
    rows = []
    for name in registry.channel_names():
        options = registry.channel_class(Variant(name)).options
        rows += [[name, option.name, _values(option), str(option.default), option.help] for option in options]
    put(draw_table(["option of", "name", "values", "default", "meaning"], rows))
    put()
    put(draw_table(["broker", "here"], [[kind, outlook.describe(kind)] for kind in kind_names()]))
    if broken := registry.broken_plugins():
        put()
        put(draw_table(["broken", "entry point", "why"], [[b.name, b.target, b.reason] for b in broken]))


def _shared(face: Face, name: str) -> list[str]:
    from ipclab.backends.base import Site
    from ipclab.backends.registry import Variant, shared_class

    kind = shared_class(face, Variant(name))
    site = Site(namespace="ipclab:list")
    safe = {discipline: kind(site, discipline=discipline).safe for discipline in kind.disciplines()}
    return [
        name,
        ", ".join(d for d, is_safe in safe.items() if is_safe) or "–",
        ", ".join(d for d, is_safe in safe.items() if not is_safe) or "–",
        kind(site).reach,
        kind.broker or "–",
    ]


def _shape(channel: type[Channel]) -> str:
    return f"{channel.max_producers or 'n'}→{channel.max_consumers or 'm'}"


def _values(option: Option) -> str:
    return " | ".join(option.choices) or "a whole number"
