"""``ipclab list``, ``show`` and ``backends``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.completion import runs
from ipclab.cli.options import RESULTS, VARIANT, emit, output_options, shown
from ipclab.cli.streams import put, say
from ipclab.cli.tables import draw_table

if TYPE_CHECKING:
    from ipclab.backends.base import Channel, Face, Option
    from ipclab.backends.registry import Variant


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
    from ipclab.cli.report import NAME as PAGE
    from ipclab.results.store import RESULT, Store, read

    path = Store(results).find(run)
    folder = shown(path.parent) if path.name == RESULT else ""
    emit(read(path), format_, output, folder=folder, **look)
    page = path.with_name(PAGE)
    if look["brief"] and page.is_file():
        say(f"open it in a browser: {shown(page)}")


_BACKENDS_HELP = """List the backends, their declarations, and whether this machine can use them."""


@click.command(help=_BACKENDS_HELP)
@click.option(
    "-b",
    "--backend",
    "asked",
    type=VARIANT,
    multiple=True,
    metavar="NAME",
    help="List only this backend; repeatable. A class of your own: FILE.py:CLASS or MODULE:CLASS.",
)
def backends(asked: tuple[Variant, ...]) -> None:
    """Run ``ipclab backends``; its help is ``_BACKENDS_HELP``."""
    from ipclab.backends import registry
    from ipclab.brokers import kind_names, outlook

    channels = _names("channel", asked)
    header = ["channel", "delivery", "may lose at", "order", "durable", "confirm", "reach", "shape", "broker"]
    _put(header, [_channel(name) for name in channels])
    faces: tuple[Face, ...] = ("counter", "register", "lock")
    for face in faces:
        header = [face, "safe disciplines", "unsafe disciplines", "reach", "broker"]
        _put(header, [_shared(face, name) for name in _names(face, asked)])
    header = ["task queue", "delivery", "may lose at", "done again after", "broker"]
    _put(header, [_task_queue(name) for name in _names("task", asked)])
    rows = []
    for name in _names("task", asked):
        options = registry.task_class(registry.Variant(name)).options
        rows += [[name, option.name, _values(option), str(option.default), option.help] for option in options]
    for name in channels:
        options = registry.channel_class(registry.Variant(name)).options
        rows += [[name, option.name, _values(option), str(option.default), option.help] for option in options]
    _put(["option of", "name", "values", "default", "meaning"], rows)
    if asked:
        return
    put(draw_table(["broker", "here"], [[kind, outlook.describe(kind)] for kind in kind_names()]))
    if absent := registry.absent():
        put()
        put(draw_table(["not installed", "to get it"], [[n, extra.command] for n, extra in absent.items()]))
    if broken := registry.broken_plugins():
        put()
        put(draw_table(["broken", "entry point", "why"], [[b.name, b.target, b.reason] for b in broken]))


def _names(face: Face, asked: tuple[Variant, ...]) -> list[str]:
    """Return the names of the backends to list that have this face. Raise UnknownNameError."""
    from ipclab.backends import registry
    from ipclab.experiment import Request

    if not asked:
        return registry.backend_names(face)
    known = Request(backends=asked).known()
    return list(dict.fromkeys(one.name for one in known if registry.is_known(face, one.name)))


def _put(header: list[str], rows: list[list[str]]) -> None:
    if rows:
        put(draw_table(header, rows))
        put()


def _channel(name: str) -> list[str]:
    from ipclab.backends.base import Site
    from ipclab.backends.registry import Variant, channel_class

    channel = channel_class(Variant(name))
    declared = channel(Site(namespace="ipclab:list")).guarantees
    return [
        name,
        declared.delivery
        + (", fan-out" if declared.fan_out else "")
        + ("" if declared.safe else ", unsafe")
        + (", polling" if declared.polling else "")
        + (f", log (offset: {declared.log_offset})" if declared.is_log else ""),
        ", ".join(sorted(declared.may_lose)) or "nothing",
        declared.order,
        declared.durability,
        declared.confirm,
        declared.reach,
        _shape(channel),
        channel.broker or "–",
    ]


def _task_queue(name: str) -> list[str]:
    from ipclab.backends.base import Site
    from ipclab.backends.registry import Variant, task_class
    from ipclab.backends.tasks.base import NEVER_S

    kind = task_class(Variant(name))
    made = kind(Site(namespace="ipclab:list"))
    after_s = made.redelivers_after_s
    return [
        name,
        made.guarantees.delivery,
        ", ".join(sorted(made.guarantees.may_lose)) or "nothing",
        "never" if after_s == NEVER_S else f"{after_s:g} s",
        kind.broker or "–",
    ]


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
    return " | ".join(map(str, option.choices)) or ("0 or more" if not option.least else "a whole number")
