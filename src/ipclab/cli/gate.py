"""``ipclab gate``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.options import (
    RESULTS,
    as_typed,
    emit_text,
    options_in_words,
    output_in,
    provider_options,
    trial_options,
    writable,
    write,
)
from ipclab.cli.progress import Progress, progress
from ipclab.cli.streams import say
from ipclab.exit_codes import ExitCode
from ipclab.report.comparison.formats import COMPARISON
from ipclab.report.registry import JSON, TABLE

if TYPE_CHECKING:
    from ipclab.compare.comparison import Comparison, Note
    from ipclab.compare.digest import Digest
    from ipclab.compare.limits import Limit
    from ipclab.experiment import Experiment, Request
    from ipclab.gate.alone import Ran

_GATE_HELP = """Run the experiment NAME, and fail where it is worse than before or breaks a limit.

Compares with another version that runs in turns (--against), or with stored runs (--baseline).

\b
ipclab gate throughput --backend queue --against main
ipclab gate throughput --backend queue --baseline baselines --update-baseline
ipclab gate latency --backend queue --fail-if 'p99 > 50ms' --fail-if 'lost > 0'
ipclab gate throughput --backend queue --aa 5

Exit codes: 0 nothing is worse; 1 something is worse, or a limit is broken; 2 the runs cannot be compared;
3 something is undecided (with --allow-undecided: 0).
"""
_MOST_AA = 50
_SUFFIXES = {"table": "txt", "junit": "xml"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is run: the experiment, the request, the settings of ``lab.run``, and the options as they were
    given."""

    experiment: Experiment
    request: Request
    settings: dict[str, Any]
    words: list[str]
    fail_if: list[Limit]


@click.command(help=_GATE_HELP)
@click.argument("name", default="comparison")
@click.option(
    "--against",
    metavar="OTHER",
    help="Run in turns with OTHER: an interpreter, a virtual environment, or a git revision, which is built.",
)
@click.option(
    "--baseline",
    type=click.Path(file_okay=False, path_type=Path),
    help="Compare with the stored runs in this folder; 5 of them are needed for speed.",
)
@click.option("--update-baseline", is_flag=True, help="Add this run to the baseline; the last 5 are kept.")
@click.option(
    "--aa",
    type=click.IntRange(min=2, max=_MOST_AA),
    help="Run the same version this many times, and print the smallest difference that can be detected.",
)
@click.option(
    "--fail-if",
    "fail_if",
    multiple=True,
    metavar="'[BACKENDS: ]METRIC > NUMBER'",
    help="A limit: 'p99 > 50ms', 'redis-*: goodput < 1k/s', 'lost > 0'; repeatable.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the comparison in every format into this folder.",
)
@click.option(
    "--allow-undecided", is_flag=True, help="End with 0 where nothing is worse and something is undecided."
)
@trial_options
@provider_options
@output_in(COMPARISON.names)
@RESULTS
def gate(
    name: str,
    against: str | None,
    baseline: Path | None,
    aa: int | None,
    fail_if: tuple[str, ...],
    report: Path | None,
    format_: str,
    output: Path | None,
    results: Path,
    update_baseline: bool,
    allow_undecided: bool,
    **asked: Any,
) -> int:
    """Run ``ipclab gate``; its help is ``_GATE_HELP``."""
    from ipclab.errors import UsageError

    if sum(way is not None for way in (against, baseline, aa)) > 1:
        raise UsageError("--against, --baseline and --aa exclude one another: give one of them")
    if update_baseline and baseline is None and aa is None:
        baseline = Path("baselines")
    if against is None and baseline is None and aa is None and not fail_if:
        raise UsageError("there is nothing to gate by: give --against, --baseline, --aa or --fail-if")
    if baseline is not None and os.path.lexists(baseline) and not baseline.is_dir():
        raise UsageError(f"--baseline is a folder of stored runs, and {baseline} is no folder")
    with writable(output), progress() as observer:
        run = _asked(name, fail_if, results, observer, asked)
        if aa is not None:
            return _calibrate(run, aa, format_, output, Path("baselines") if update_baseline else None)
        if against is not None:
            found = _against(run, against, observer)
        else:
            found = _alone(run, baseline, update=update_baseline)
    emit_text(
        lambda look: COMPARISON.formatted(found, format_, look), output, utf_8=COMPARISON.named(format_).utf_8
    )
    if report is not None:
        _report(found, report)
    undecided = found.exit_code == ExitCode.UNKNOWN
    return ExitCode.SUCCESS if undecided and allow_undecided else found.exit_code


def _report(found: Comparison, folder: Path) -> None:
    """Write the comparison in every format: ``comparison.md``, ``.json``, ``.csv``, ``.xml`` and ``.txt``."""
    from ipclab.errors import ResultsError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder} cannot be made: {error.strerror}; name another folder") from error
    for format_ in COMPARISON.names:
        suffix = _SUFFIXES.get(format_, format_)
        write(folder / f"comparison.{suffix}", COMPARISON.formatted(found, format_))


def _asked(
    name: str, fail_if: tuple[str, ...], results: Path, observer: Progress, asked: dict[str, Any]
) -> _Asked:
    from ipclab.compare.limits import parse
    from ipclab.experiment import Request, load
    from ipclab.results.store import Store

    limits = [parse(text) for text in fail_if]
    provider, install = asked.pop("provider"), asked.pop("install")
    experiment = load(name)
    return _Asked(
        experiment=experiment,
        request=Request(**asked),
        settings={
            "store": Store(results),
            "observer": observer,
            "provider": provider,
            "install": install,
            "options": options_in_words(asked),
        },
        words=_words(asked),
        fail_if=limits,
    )


def _words(asked: dict[str, Any]) -> list[str]:
    """Return the options of ``ipclab run`` that ask for the same, without repeats and seed."""
    from ipclab.cli.run import run

    found: list[str] = []
    for option in run.params:
        value = asked.get(option.name or "")
        if option.name in ("repeats", "seed") or value in (None, ()):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            found += [option.opts[-1], as_typed(one)]
    return found


def _alone(asked: _Asked, folder: Path | None, *, update: bool) -> Comparison:
    """Run this side, and compare it with the baseline, or with the limits only."""
    from ipclab.compare import baselines
    from ipclab.compare.comparison import compare
    from ipclab.compare.digest import digest

    ran = _run(asked)
    new = digest(ran.result)
    stored = None
    if folder is not None:
        place = baselines.place(folder, new.environment, asked.experiment.name)
        stored = baselines.read(place)
    if stored is None or not stored.runs:
        notes: tuple[Note, ...] = ("no baseline",) if folder is not None else ()
        found = compare(None, new, labels=("none", "this"), fail_if=asked.fail_if, notes=notes)
    else:
        enough = stored.enough
        found = compare(
            baselines.pooled(stored.runs),
            new,
            labels=("baseline", "this"),
            floors=baselines.floors(stored.runs) if enough else {},
            old_runs=len(stored.runs),
            floor_runs=len(stored.runs) if enough else 0,
            speed_gates=enough,
            fail_if=asked.fail_if,
            notes=() if enough else ("few baselines",),
        )
    if update and folder is not None:
        _update(folder, [new])
    return found


def _against(asked: _Asked, name: str, observer: Progress) -> Comparison:
    from ipclab.compare.comparison import compare
    from ipclab.compare.digest import digest
    from ipclab.gate import interleaved, keep, sides

    store = asked.settings["store"]
    store.check()
    with sides.other(name, observer.note) as old:
        pair = interleaved.run(
            asked.experiment,
            asked.request,
            asked.words,
            (old, sides.this()),
            provider=asked.settings["provider"],
            install=asked.settings["install"],
            on_event=observer.note,
        )
    found = compare(digest(pair.old), digest(pair.new), labels=(old.label, "this"), fail_if=asked.fail_if)
    folder = keep.keep(store, pair)
    say(f"kept in {folder}")
    return found


def _run(asked: _Asked) -> Ran:
    from ipclab.gate import alone

    ran = alone.run(asked.experiment, asked.request, **asked.settings)
    for folder in ran.folders:
        say(f"kept in {folder}")
    return ran


def _calibrate(asked: _Asked, many: int, format_: str, output: Path | None, folder: Path | None) -> ExitCode:
    """Run this side several times, print what a gate would see, and keep the runs as a baseline if asked."""
    from ipclab.compare.calibration import calibrate
    from ipclab.compare.digest import digest
    from ipclab.errors import UsageError
    from ipclab.report.comparison import calibration

    formats = TABLE.name, JSON.name
    if format_ not in formats:
        raise UsageError(f"--aa prints {' or '.join(formats)}: choose one of them with --format")
    runs = []
    for number in range(many):
        say(f"run {number + 1} of {many}")
        runs.append(digest(_run(asked).result))
    found = calibrate(runs)
    emit_text(
        lambda look: calibration.as_json(found) if format_ == JSON.name else calibration.as_text(found, look),
        output,
        utf_8=format_ == JSON.name,
    )
    if folder is not None:
        _update(folder, runs)
    return ExitCode.SUCCESS


def _update(folder: Path, runs: list[Digest]) -> None:
    from ipclab.compare import baselines

    place = baselines.place(folder, runs[-1].environment, runs[-1].experiment)
    stored = baselines.update(place, runs)
    say(f"baseline {place} has {len(stored.runs)} of {baselines.KEPT} runs")
