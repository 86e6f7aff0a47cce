"""``ipclab hang``."""

from __future__ import annotations

from pathlib import Path

import click

from ipclab.cli.options import emit_text, output_in
from ipclab.report.stuck.formats import STUCK

_HANG_HELP = """Say in what the Python process PID hangs, with its child processes and all that may wake it.

It looks twice, reads the stacks with py-spy, and names the call, the lock, who is at the other end, and the
known hazard with its cure. The processes are neither stopped nor changed. A process that works, sleeps, or
waits with a time limit is not stuck, nor is one that such a process may wake.

\b
pip install 'ipclab[hang]'
ipclab hang 4711

Exit codes: 0 nothing is stuck; 1 stuck, and the cause is named; 2 a process cannot be read; 3 stuck, but no
known cause fits.
"""


@click.command(help=_HANG_HELP)
@click.argument("pids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="PID…")
@click.option(
    "--between",
    "between_s",
    type=click.FloatRange(min=0.1, max=600),
    default=1.0,
    show_default=True,
    help="Seconds between the two looks; longer for a program that does something only now and then.",
)
@output_in(STUCK.names)
def hang(pids: tuple[int, ...], between_s: float, format_: str, output: Path | None) -> int:
    """Run ``ipclab hang``; its help is ``_HANG_HELP``."""
    from ipclab.stuck.finding import report
    from ipclab.stuck.look import examine

    found = report(examine(list(dict.fromkeys(pids)), between_s=between_s))
    emit_text(lambda view: STUCK.formatted(found, format_, view), output, utf_8=STUCK.named(format_).utf_8)
    return found.exit_code
