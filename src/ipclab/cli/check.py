"""``ipclab check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ipclab.cli.options import SECONDS, writable, write
from ipclab.cli.streams import put
from ipclab.exit_codes import ExitCode
from ipclab.host.text import escaped
from ipclab.report.registry import JSON, TABLE

if TYPE_CHECKING:
    from ipclab.checks import Verdict
    from ipclab.history import History
    from ipclab.history.format import Guarantee, Model

EXIT_CODES = {"valid": ExitCode.SUCCESS, "invalid": ExitCode.BROKEN, "unknown": ExitCode.UNKNOWN}
MODELS = ("register", "queue", "delivery", "counter", "lock")
GUARANTEES = ("at-most-once", "at-least-once", "exactly-once")


_CHECK_HELP = """Check the history in FILE (plain or gzipped). Runs no experiment.

Exit codes: 0 valid; 1 invalid, with a counterexample; 2 the file is malformed; 3 unknown.
"""


@click.command(help=_CHECK_HELP)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--model", type=click.Choice(MODELS), help="Model to check against (default: the one in the header)."
)
@click.option(
    "--guarantee",
    type=click.Choice(GUARANTEES),
    help="Guarantee to check with the model delivery (default: the one in the header).",
)
@click.option(
    "--budget",
    type=SECONDS,
    default=10.0,
    show_default=True,
    help="Time limit of the search in seconds; after it the verdict is unknown.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write an HTML page to this file."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice([TABLE.name, JSON.name]),
    default=TABLE.name,
    help="Output format.",
)
def check(
    file: Path, model: str | None, guarantee: str | None, budget: float, html: Path | None, format_: str
) -> int:
    """Run ``ipclab check``; its help is ``_CHECK_HELP``."""
    from ipclab.checks import check as verify
    from ipclab.history import read

    chosen = cast("Model | None", model)
    with writable(html):
        history = read(file, chosen)
        verdict = verify(history, chosen, guarantee=cast("Guarantee | None", guarantee), budget_s=budget)
    put(_as_json(verdict) if format_ == JSON.name else escaped(_as_text(history, verdict), lines=True))
    if html is not None:
        from ipclab.checks.page import draw_page

        write(html, draw_page(history, verdict))
    return EXIT_CODES[verdict.verdict]


def _as_json(verdict: Verdict) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(verdict), indent=2)


def _as_text(history: History, verdict: Verdict) -> str:
    import textwrap

    from ipclab.checks.timeline import WIDTH, draw

    faults = f", {_count(verdict.faults, 'fault')}" if verdict.faults else ""
    lines = [
        f"{verdict.verdict}: {verdict.model}, {_count(verdict.operations, 'operation')} on "
        f"{_count(verdict.keys, 'key')}{faults}; decided by {' and '.join(verdict.methods)}"
    ]
    if verdict.anomalies:
        lines.append("found: " + ", ".join(f"{name} {count}" for name, count in verdict.anomalies.items()))
    counts = {name: count for name, count in verdict.counts.items() if count}
    if counts:
        lines.append(
            "counted: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        )
    lines.extend(f"note: {note}" for note in verdict.notes)
    if verdict.reason:
        lines += ["", *textwrap.wrap(verdict.reason, WIDTH)]
    if verdict.counterexample is not None:
        lines += ["", draw(history, verdict.counterexample)]
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
