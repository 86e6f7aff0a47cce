"""``ipclab claims``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.claims_progress import Keeper, observer
from ipclab.cli.options import LANGUAGE, RESULTS, provider_options, writable, write
from ipclab.cli.streams import out, put, say, width
from ipclab.exit_codes import ExitCode
from ipclab.report.look import WIDTH
from ipclab.report.registry import JSON, MARKDOWN, TABLE, Format

if TYPE_CHECKING:
    from ipclab.claims.base import Claim
    from ipclab.claims.gather import Observer
    from ipclab.claims.outcome import Outcome, Run
    from ipclab.host.language import Language

FILE = click.Path(dir_okay=False, path_type=Path)


def _table(run: Run, language: Language, output: Path | None) -> str:
    from ipclab.claims.table import make_table
    from ipclab.report.terminal import wants_colour

    on_terminal = output is None and out().isatty()
    columns = WIDTH if output is not None else max(width(WIDTH), 60)
    return make_table(run, language, width=columns, colour=on_terminal and wants_colour(out()))


def _json(run: Run, _language: Language, _output: Path | None) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(run)).decode()


def _evidence(run: Run, _language: Language, _output: Path | None) -> str:
    from ipclab.claims import keep

    return keep.text(run)


def _markdown(run: Run, language: Language, _output: Path | None) -> str:
    from ipclab.claims.table import make_markdown

    return make_markdown(run, language)


EVIDENCE = Format("evidence", utf_8=True)
FORMATS: Mapping[Format, Callable[[Run, Language, Path | None], str]] = {
    TABLE: _table,
    JSON: _json,
    EVIDENCE: _evidence,
    MARKDOWN: _markdown,
}
"""The formats of a run of claims: those of a result that make sense for it, and its measurements alone."""


_CLAIMS_HELP = """Test the claims NAME… (names or numbers; default: all) by experiment and print one table.

Exit codes: 1 if a verdict differs from the one recorded for this platform, or an experiment failed;
4 if a claim was not run because a broker is missing, 3 if because something else is; else 0.

\b
ipclab claims
ipclab claims 4 5 6 --live
ipclab claims --format evidence -o 3.13.json
ipclab claims --from 3.12.json --from 3.13.json --docs docs
ipclab claims --list
"""


@click.command(help=_CLAIMS_HELP)
@click.argument("wanted", nargs=-1, metavar="[NAME…]")
@click.option("--live", is_flag=True, help="Show the events and all of the evidence of each experiment.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([format_.name for format_ in FORMATS]),
    default=TABLE.name,
    show_default=True,
    help="Output format; evidence is JSON with the measurements only, for --from.",
)
@click.option("-o", "--output", type=FILE, help="Write the output to this file.")
@click.option("--list", "list_", is_flag=True, help="List the claims and run nothing.")
@LANGUAGE
@click.option(
    "--from",
    "kept",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Show this run, stored with '--format evidence -o FILE', and run nothing; repeatable. A run that "
    "was interrupted goes on.",
)
@click.option(
    "--docs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write claims.md and claims.zh.md, which compare all runs, into this folder.",
)
@provider_options
@RESULTS
def claims(
    wanted: tuple[str, ...],
    live: bool,
    list_: bool,
    format_: str,
    output: Path | None,
    language: Language,
    kept: tuple[Path, ...],
    docs: Path | None,
    provider: Any,
    install: bool | None,
    results: Path,
) -> int:
    """Run ``ipclab claims``; its help is ``_CLAIMS_HELP``."""
    from ipclab.claims import catalogue
    from ipclab.claims.keep import read
    from ipclab.claims.outcome import exit_code
    from ipclab.host import needs

    chosen = catalogue.find(wanted)
    if list_:
        put(_listed(chosen, language))
        return ExitCode.SUCCESS
    chosen_format = next(known for known in FORMATS if known.name == format_)
    cards = live and chosen_format == TABLE and output is None
    with writable(output, docs / "claims.md" if docs else None):
        stored = {path: read(path) for path in kept}
        if not wanted and (begun := {name for run in stored.values() for name in run.left}):
            asked = begun | {outcome.name for run in stored.values() for outcome in run.outcomes}
            chosen = {name: claim for name, claim in chosen.items() if name in asked}
        if kept and not any(set(run.left) & chosen.keys() for run in stored.values()):
            runs = [_only(run, chosen.keys()) for run in stored.values()] if wanted else [*stored.values()]
        else:
            needs.require()
            watching = observer(len(chosen), live, language, cards=cards)
            with watching as one, Keeper(results, stored) as keeper:
                runs = [_run(chosen, provider, install, live, one, keeper)]
    if docs is not None:
        from ipclab.claims.page import make_pages

        for name, text in make_pages(runs, chosen).items():
            write(docs / name, text)
    text = "\n\n".join(FORMATS[chosen_format](run, language, output) for run in runs)
    if output is not None:
        write(output, f"{text}\n")
    elif not cards or kept:
        put(text.encode() if chosen_format.utf_8 else text)
    outcomes = [outcome for run in runs for outcome in run.outcomes]
    for outcome in outcomes:
        if outcome.differs or outcome.state == "failed":
            say(_complaint(outcome))
    return exit_code(outcomes)


def _listed(chosen: Mapping[str, Claim[Any]], language: Language) -> str:
    from ipclab.claims import words
    from ipclab.cli.tables import draw_table

    header = ("#", "name", "claim") if language == "en" else ("#", "名字", "说法")
    rows = [[str(claim.number), name, words.say(claim.statement, language)] for name, claim in chosen.items()]
    return draw_table(header, rows)


def _run(
    chosen: dict[str, Claim[Any]],
    provider: Any,
    install: bool | None,
    live: bool,
    observer: Observer,
    keeper: Keeper,
) -> Run:
    from ipclab.claims import gather

    return gather.run(
        chosen,
        provider=provider,
        install=install,
        live=live,
        observer=observer,
        before=keeper.before,
        keep=keeper.keep,
    )


def _only(run: Run, names: Collection[str]) -> Run:
    import msgspec

    return msgspec.structs.replace(run, outcomes=[o for o in run.outcomes if o.name in names])


def _complaint(outcome: Outcome) -> str:
    if outcome.verdict is None:
        return f"claim {outcome.number} ({outcome.name}): the experiment failed: {outcome.reason}"
    return (
        f"claim {outcome.number} ({outcome.name}): the verdict is {outcome.verdict.kind!r}, "
        f"but {outcome.recorded!r} is recorded for {sys.platform}; "
        f"'ipclab claims {outcome.name} --live' shows why"
    )
