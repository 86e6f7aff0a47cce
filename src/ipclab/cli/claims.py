"""``ipclab claims``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.options import provider_options, writable, write
from ipclab.cli.streams import out, put, say, tell, width
from ipclab.report.look import WIDTH
from ipclab.report.registry import JSON, MARKDOWN, TABLE, Format

if TYPE_CHECKING:
    from ipclab.claims.base import Claim
    from ipclab.claims.gather import Observer
    from ipclab.claims.outcome import Conditions, Outcome, Run
    from ipclab.claims.words import Language

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
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option(
    "--from",
    "kept",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Show this run, stored with '--format evidence -o FILE', and run nothing; repeatable.",
)
@click.option(
    "--docs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write claims.md and claims.zh.md, which compare all runs, into this folder.",
)
@provider_options
def claims(
    wanted: tuple[str, ...],
    live: bool,
    format_: str,
    output: Path | None,
    language: Language,
    kept: tuple[Path, ...],
    docs: Path | None,
    provider: Any,
    install: bool | None,
) -> int:
    """Run ``ipclab claims``; its help is ``_CLAIMS_HELP``."""
    from ipclab.claims import catalogue
    from ipclab.claims.keep import read
    from ipclab.claims.outcome import exit_code
    from ipclab.host import needs

    chosen = catalogue.find(wanted)
    with writable(output, docs / "claims.md" if docs else None):
        if kept:
            runs = [read(path) for path in kept]
            runs = [_only(run, chosen.keys()) for run in runs] if wanted else runs
        else:
            needs.require()
            runs = [_run(chosen, provider, install, live, language)]
    if docs is not None:
        from ipclab.claims.page import make_pages

        for name, text in make_pages(runs, chosen).items():
            write(docs / name, text)
    chosen_format = next(known for known in FORMATS if known.name == format_)
    text = "\n\n".join(FORMATS[chosen_format](run, language, output) for run in runs)
    if output is not None:
        write(output, f"{text}\n")
    elif not (live and chosen_format == TABLE and not kept):
        put(text.encode() if chosen_format.utf_8 else text)
    outcomes = [outcome for run in runs for outcome in run.outcomes]
    for outcome in outcomes:
        if outcome.differs or outcome.state == "failed":
            say(_complaint(outcome))
    return exit_code(outcomes)


def _run(
    chosen: dict[str, Claim[Any]], provider: Any, install: bool | None, live: bool, language: Language
) -> Run:
    from ipclab.claims import gather

    with _observer(len(chosen), live, language) as observer:
        return gather.run(chosen, provider=provider, install=install, live=live, observer=observer)


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


class _Quiet:
    """For a log: only what takes long or goes wrong."""

    def note(self, line: str) -> None:
        say(line)

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None:
        pass

    def finished(self, outcome: Outcome, conditions: Conditions) -> None:
        pass


class _Cards(_Quiet):
    """For a screen: each claim, the events of its experiment, and all of the evidence."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None:
        from ipclab.claims import words

        put(f"{claim.number}. {words.say(claim.statement, self._language)}\n")

    def finished(self, outcome: Outcome, conditions: Conditions) -> None:
        from ipclab.claims.table import make_card

        put(f"\n{make_card(outcome, conditions, self._language)}\n")


class _Bar(_Quiet):
    """For a terminal: the claim that is being settled, drawn only between experiments."""

    def __init__(self, total: int) -> None:
        self._total = total

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None:
        self.clear()
        tell(f"{index + 1} of {self._total}: {name}")

    def note(self, line: str) -> None:
        self.clear()
        super().note(line)

    def clear(self) -> None:
        """Clear the line."""
        tell("\r\x1b[K")


@contextlib.contextmanager
def _observer(total: int, live: bool, language: Language) -> Iterator[Observer]:
    if live:
        yield _Cards(language)
        return
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    bar = _Bar(total)
    try:
        yield bar
    finally:
        bar.clear()
