"""``ipclab conform``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.options import (
    RESULTS,
    VARIANT,
    as_typed,
    emit_text,
    output_in,
    provider_options,
    writable,
    write,
)
from ipclab.cli.progress import Progress, progress
from ipclab.cli.streams import say
from ipclab.report.conformance.formats import CONFORMANCE

if TYPE_CHECKING:
    from ipclab.backends.registry import Variant
    from ipclab.conform.outcome import Outcome
    from ipclab.results.result import Result

_CONFORM_HELP = """Check the backends NAME… against what they declare, and print which promises they keep.

NAME is the name of a backend, or a class of your own: FILE.py:CLASS or MODULE:CLASS. Without options a
backend is checked in all modes that differ in what they declare.

\b
ipclab conform ./my_queue.py:MyChannel
ipclab conform redis-stream --crash --badge redis-stream.svg

Exit codes: 0 every promise is kept; 1 one is broken; 3 one is undecided; 4 a broker cannot be reached.
"""


@click.command(help=_CONFORM_HELP)
@click.argument("names", nargs=-1, required=True, type=VARIANT, metavar="NAME…")
@click.option("--crash", is_flag=True, help="Also run the fault matrix, as 'ipclab run crash' does.")
@click.option(
    "--badge",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a badge with the outcome, an SVG, to this file.",
)
@provider_options
@output_in(CONFORMANCE.names)
@RESULTS
def conform(
    names: tuple[Variant, ...],
    crash: bool,
    badge: Path | None,
    provider: Any,
    install: bool | None,
    format_: str,
    output: Path | None,
    results: Path,
) -> int:
    """Run ``ipclab conform``; its help is ``_CONFORM_HELP``."""
    from ipclab.conform.run import run
    from ipclab.experiment import Request, load
    from ipclab.report.conformance import badge as badges
    from ipclab.report.conformance.shown import Shown

    request = Request(backends=names)
    if crash:
        # It raises where a backend has no crash matrix, before the minutes that the suite takes.
        load("crash").plan(request)
    with writable(output, badge), progress() as observer:
        found = run(
            names,
            provider=provider,
            install=install,
            on_event=observer.note,
            on_outcome=lambda number, many, one: _note(observer, number, many, one),
        )
        matrix = _crash(names, request, observer, provider, install, results) if crash else None
    shown = Shown(found, matrix)
    emit_text(
        lambda look: CONFORMANCE.formatted(shown, format_, look),
        output,
        utf_8=CONFORMANCE.named(format_).utf_8,
    )
    if badge is not None:
        write(badge, badges.render(shown))
    return shown.exit_code


def _note(observer: Progress, number: int, many: int, one: Outcome) -> None:
    """Tell what is not kept at once, and the rest in every tenth line."""
    if one.verdict != "kept":
        observer.note(f"{one.verdict}: {one.sentence} ({one.subject}): {one.reason}")
    elif number % 10 == 0 or number == many:
        observer.note(f"{number} of {many} checks done")


def _crash(
    names: tuple[Variant, ...],
    request: Any,
    observer: Progress,
    provider: Any,
    install: bool | None,
    results: Path,
) -> Result:
    from ipclab import lab
    from ipclab.experiment import load
    from ipclab.results.store import Store

    outcome = lab.run(
        load("crash"),
        request,
        store=Store(results),
        observer=observer,
        provider=provider,
        install=install,
        options={"backends": ", ".join(map(as_typed, names))},
    )
    say(f"kept in {outcome.folder}")
    return outcome.result
