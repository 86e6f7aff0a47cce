"""``ipclab report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipclab.cli.completion import runs
from ipclab.cli.options import LANGUAGE, RESULTS, shown, writable, write
from ipclab.cli.streams import say
from ipclab.host.language import Language
from ipclab.host.texts import speaking

if TYPE_CHECKING:
    from ipclab.claims.outcome import Outcome
    from ipclab.report.html.claims import ClaimCard
    from ipclab.report.html.run import Run
    from ipclab.report.html.trends import TrendPart
    from ipclab.results.result import Result
    from ipclab.results.store import Store

NAME = "report.html"
_ORDER = (
    "comparison",
    "throughput",
    "latency",
    "capacity",
    "curve",
    "round_trip",
    "race",
    "crash",
    "order",
    "client",
)
"""The order of the experiments on a page without named runs; others follow."""

_REPORT_HELP = """Write one page about the stored results RUN… that opens in a browser without a network.

RUN is what 'ipclab show' takes, or a file of 'ipclab claims --format evidence -o FILE'. Without RUN: the
newest result of each experiment.

\b
ipclab report
ipclab report comparison race crash claims.json -o report.html --open
ipclab report comparison --svg docs/images
"""


@click.command(help=_REPORT_HELP)
@click.argument("wanted", nargs=-1, metavar="[RUN…]", shell_complete=runs)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(NAME),
    show_default=True,
    help="Write the page to this file.",
)
@click.option(
    "--svg",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also write each picture into this folder, for light and for dark ground.",
)
@click.option(
    "--trend", is_flag=True, help="Also show how the stored runs of each experiment went over time."
)
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@LANGUAGE
@RESULTS
def report(
    wanted: tuple[str, ...],
    output: Path,
    svg: Path | None,
    trend: bool,
    open_: bool,
    language: Language,
    results: Path,
) -> None:
    """Run ``ipclab report``; its help is ``_REPORT_HELP``."""
    from ipclab.report.html.page import make_page
    from ipclab.results.store import Store

    with writable(output), speaking(language):
        store = Store(results)
        runs, claims = _gather(wanted, store, language)
        write(output, make_page(runs, claims, _trends(runs, store) if trend else ()))
        say(f"written: {output}")
        if svg is not None:
            say(f"{write_pictures(runs, svg)} pictures are in {svg}")
    if open_:
        click.launch(str(output))


def _trends(runs: Sequence[Run], store: Store) -> list[TrendPart]:
    """Return the trend of each experiment on the page that has several stored runs."""
    from ipclab.cli.trend import gather
    from ipclab.report.html.trends import make

    names = dict.fromkeys(run.result.experiment for run in runs)
    made = [make(gather(store, name), number) for number, name in enumerate(names, 1)]
    return [part for part in made if part is not None]


def write_beside(result: Result, folder: Path, language: Language = "en") -> Path | None:
    """Write the page of a run into its folder, and return its path. Says so and returns None where that
    fails: the run itself is stored already."""
    from ipclab.report.html.page import make_page
    from ipclab.report.html.run import gather
    from ipclab.results.store import write_atomically

    try:
        with speaking(language):
            write_atomically(folder / NAME, make_page([gather(result, shown(folder))]).encode())
    except Exception as error:  # noqa: BLE001 - no error of the page may spoil the run
        what = " ".join(str(error).split())
        say(f"the page could not be written, all else is stored: {type(error).__name__}: {what}")
        return None
    return folder / NAME


def _gather(wanted: Sequence[str], store: Store, language: Language) -> tuple[list[Run], list[ClaimCard]]:
    """Return the runs and the claims that these names mean. Raises what ``Store.find()`` raises."""
    from ipclab.errors import ResultsError
    from ipclab.report.html.run import gather
    from ipclab.results.store import read

    runs: list[Run] = []
    claims: list[ClaimCard] = []
    for name in wanted or _newest(store):
        if Path(name).is_file() and (found := _claims(Path(name), language)):
            claims += found
            continue
        path = store.find(name)
        folder = shown(path.parent) if path.name == "result.json" else ""
        runs.append(gather(read(path), folder, len(runs) + 1))
    if not runs and not claims:
        raise ResultsError(f"there are no results in {store.root} yet: ipclab run makes some")
    return runs, claims


def _newest(store: Store) -> list[str]:
    """Return the newest run of each experiment, in the order of the page."""
    newest = {name.partition("/")[0]: name for name in store.runs()}
    known = [name for name in _ORDER if name in newest]
    return [newest[name] for name in (*known, *sorted(newest.keys() - set(known)))]


def _claims(path: Path, language: Language) -> list[ClaimCard]:
    """Return the cards of a kept run of claims; empty where the file is none."""
    import msgspec

    from ipclab.claims import keep
    from ipclab.host.files import read_bytes

    try:
        known = msgspec.json.decode(read_bytes(path, keep.MOST_BYTES), type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, OSError, RecursionError):
        return []
    return (
        [_card(outcome, language) for outcome in keep.read(path).outcomes] if "ipclab_claims" in known else []
    )


def _card(outcome: Outcome, language: Language) -> ClaimCard:
    from ipclab.claims.words import say as words
    from ipclab.claims.words import state_line
    from ipclab.report.html.claims import ClaimCard, Tone

    tone: Tone
    if outcome.verdict is None:
        mark, tone = ("–", "doubt") if outcome.state == "not run" else ("!", "worst")
    else:
        marks: dict[str, tuple[str, Tone]] = {
            "holds": ("✓", "good"),
            "refuted": ("✕", "mild"),
            "holds when": ("◇", "mild"),
        }
        mark, tone = marks[outcome.verdict.kind]
        tone = "worst" if outcome.differs else tone
    return ClaimCard(
        number=outcome.number,
        name=outcome.name,
        statement=words(outcome.statement, language),
        verdict=state_line(outcome, language),
        mark=mark,
        tone=tone,
        evidence=tuple((words(row.what, language), words(row.value, language)) for row in outcome.rows),
        practice=words(outcome.practice, language),
    )


def write_pictures(runs: Sequence[Run], folder: Path) -> int:
    """Write each picture twice, for light and for dark ground; return how many files these are. Raises
    ResultsError."""
    from ipclab.errors import ResultsError
    from ipclab.report.html import style
    from ipclab.report.html.page import pictures

    themes: tuple[style.Theme, ...] = ("light", "dark")
    many = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot make the folder {folder}: {error.strerror}; name another one") from error
    for run in runs:
        for picture in pictures(run):
            name = picture.name.replace(run.name, run.result.experiment, 1)
            for theme in themes:
                write(folder / f"{name}-{theme}.svg", f"{picture.alone(style.of_picture(theme))}\n")
                many += 1
    return many
