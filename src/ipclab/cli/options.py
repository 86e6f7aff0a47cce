"""Option types and options that several commands share, and the one function that writes a result."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ipclab.cli import completion
from ipclab.cli.streams import data_apart, out, put, width
from ipclab.faults.spec import ACTIONS
from ipclab.host.language import LANGUAGES, Language, preferred
from ipclab.host.texts import speaking
from ipclab.payload.codecs import CODECS
from ipclab.report.formats import RESULT
from ipclab.report.registry import MARKDOWN, TABLE
from ipclab.trial.task_facts import ANY_TARGET

if TYPE_CHECKING:
    from ipclab.backends.registry import Variant
    from ipclab.payload.asked import Payload
    from ipclab.payload.sizes import Size, Sizes
    from ipclab.report.look import Look
    from ipclab.results.result import Result
    from ipclab.trial.spec import Leg
    from ipclab.trial.study import Slo

COUNT = click.IntRange(min=1)
REPEATS = click.IntRange(min=1, max=1000)
SEED = click.IntRange(min=0, max=2**32 - 1)
SECONDS = click.FloatRange(min=0, min_open=True)
RATE = click.FloatRange(min=0, min_open=True)


class _Sizes(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """Numbers of bytes, with a unit or without: 64, 1KiB, 20k, 2KiB-20KiB, or several with commas."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size | Sizes:
        from ipclab.errors import UsageError
        from ipclab.payload.sizes import parse

        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        try:
            return parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class _Payload(click.ParamType):  # type: ignore[type-arg]
    """A kind of payload, such as dict or ndarray:float64:1MiB."""

    name = "payload"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Payload:
        from ipclab.payload.asked import Payload, parse

        return value if isinstance(value, Payload) else parse(value)


class _Work(click.ParamType):  # type: ignore[type-arg]
    """The work of a job: 5ms, cpu:5ms, exp:5ms."""

    name = "work"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ipclab.errors import UsageError
        from ipclab.trial.work import parse

        try:
            return str(parse(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class _Share(click.ParamType):  # type: ignore[type-arg]
    """A share: 1% or 0.01."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", value.strip())
        if match is None:
            self.fail(f"{value!r} is not a share; write 1% or 0.01", param, ctx)
        return float(match[1]) / (100 if match[2] else 1)


class _Slo(click.ParamType):  # type: ignore[type-arg]
    """A limit on latency: p99=10ms."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Slo:
        from ipclab.errors import UsageError
        from ipclab.trial.study import Slo

        try:
            return value if isinstance(value, Slo) else Slo.parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class _Arrivals(click.ParamType):  # type: ignore[type-arg]
    """The gaps of a schedule: constant, poisson or burst:N."""

    name = "arrivals"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"constant|poisson|burst:[1-9]\d{0,6}", value) is None:
            self.fail(f"{value!r} is none of constant, poisson and burst:N, such as burst:10", param, ctx)
        return str(value)


class _Legs(click.ParamType):  # type: ignore[type-arg]
    """Rates one after the other: 100:10s,500:5s."""

    name = "legs"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Leg, ...]:
        from ipclab.trial.spec import Leg

        if isinstance(value, tuple):
            return value
        legs = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)\s*s?\s*", part)
            if match is None or not float(match[1]) or not float(match[2]):
                self.fail(
                    f"{part.strip()!r} is not a rate and a time above 0; write 100:10s,500:5s", param, ctx
                )
            legs.append(Leg(rate_per_s=float(match[1]), seconds=float(match[2])))
        return tuple(legs)


class _Variant(click.ParamType):  # type: ignore[type-arg]
    """A backend's name, or the file or module of a class and its name, with options or without."""

    name = "backend"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Variant:
        from ipclab.backends.registry import Variant

        if isinstance(value, Variant):
            return value
        if ctx is not None and ctx.resilient_parsing:
            # A shell completes a word: nothing of the user is imported for that.
            return Variant(value)
        with data_apart():
            return Variant.parse(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in completion.backends(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


LANGUAGE = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=preferred,
    help="Language of the output (default: Chinese where LC_ALL, LC_MESSAGES or LANG says so, else English).",
)
"""The option that names the language of what a command prints."""

WORK = _Work()
SHARE = _Share()
SIZES = _Sizes()
PAYLOAD = _Payload()
SLO, ARRIVALS, LEGS = _Slo(), _Arrivals(), _Legs()
VARIANT = _Variant()


_TRIAL_OPTIONS = (
    click.option(
        "-b",
        "--backend",
        "backends",
        type=VARIANT,
        multiple=True,
        metavar="NAME[:OPTION=VALUE,…]",
        help="Measure only this backend; repeatable. See 'ipclab backends'. A class of your own: "
        "FILE.py:CLASS or MODULE:CLASS.",
    ),
    click.option("--producers", type=COUNT, help="Number of producer processes (race: of all processes)."),
    click.option("--consumers", type=COUNT, help="Number of consumer processes."),
    click.option(
        "--size",
        "size_bytes",
        type=SIZES,
        help="Message size: 64, 1KiB, 20k; a list 64,1KiB measures each; a range 2KiB-20KiB draws sizes.",
    ),
    click.option(
        "--payload",
        type=PAYLOAD,
        metavar="KIND[:…]",
        help="What a message is: bytes, dict, json, dataclass, ndarray:float64, dataframe, file:PATH.",
    ),
    click.option(
        "--codec",
        type=click.Choice(tuple(CODECS)),
        help="How a payload becomes bytes (default: pickle, where the backend carries no objects).",
    ),
    click.option(
        "--rate", "rate_per_s", type=RATE, help="Messages per second of all producers together (latency)."
    ),
    click.option(
        "--arrivals",
        type=ARRIVALS,
        metavar="constant|poisson|burst:N",
        help="Gaps between messages at a rate: all equal, random, or bursts of N (latency).",
    ),
    click.option(
        "--variable-rate",
        "legs",
        type=LEGS,
        default=(),
        metavar="RATE:TIME,…",
        help="Rates one after the other, such as 100:10s,500:5s (latency).",
    ),
    click.option(
        "--slo",
        type=SLO,
        metavar="PERCENTILE=TIME",
        help="Limit on latency, such as p99=10ms (capacity, jobs).",
    ),
    click.option("--duration", "duration_s", type=SECONDS, help="Length of the measured window, in seconds."),
    click.option(
        "--warmup",
        "warmup_s",
        type=click.FloatRange(min=0),
        help="Length of the warm-up before the window, in seconds.",
    ),
    click.option("--repeats", type=REPEATS, help="Number of runs of each trial."),
    click.option("--window", type=COUNT, help="Number of messages between two confirmations."),
    click.option(
        "--work",
        type=WORK,
        metavar="[exp:][cpu:]TIME",
        help="Work of a consumer on each message: 5ms (sleeps), cpu:5ms, exp:5ms.",
    ),
    click.option(
        "--work-fail",
        "work_fail_share",
        type=SHARE,
        metavar="SHARE",
        help="Share of the work that fails: 1%.",
    ),
    click.option(
        "--prefetch", type=COUNT, help="Number of messages that a consumer holds unacknowledged (rabbitmq)."
    ),
    click.option(
        "--start-method",
        type=click.Choice(["fork", "spawn", "forkserver"]),
        help="Start method of the worker processes.",
    ),
    click.option(
        "--fault",
        "faults",
        type=click.Choice(ACTIONS),
        multiple=True,
        help="Inject only this fault (crash, tasks); repeatable.",
    ),
    click.option(
        "--target",
        "targets",
        type=click.Choice(ANY_TARGET),
        multiple=True,
        help="Inject only faults of this target (crash, tasks); repeatable.",
    ),
    click.option(
        "--seed", type=SEED, default=1, show_default=True, help="Seed of message contents and schedules."
    ),
)
"""What an experiment may be asked for."""


def trial_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that shorten, lengthen or restrict an experiment."""
    for option in reversed(_TRIAL_OPTIONS):
        command = option(command)
    return command


def options_in_words(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return what an experiment was asked for as text, without what was left to it."""
    return {key: _words(value) for key, value in asked.items() if value not in (None, ())}


def _words(value: object) -> str:
    return ", ".join(as_typed(part) for part in value) if isinstance(value, tuple) else str(value)


def as_typed(value: object) -> str:
    """Return the value of an option as the user types it, so that another process understands it."""
    from ipclab.backends.registry import Variant, typed

    return typed(value) if isinstance(value, Variant) else str(value)


def _choose_servers(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    """Put the choices of ``--server`` into the environment of this process and those that it starts."""
    if value:
        from ipclab.brokers import stand_ins

        text = ",".join(value)
        stand_ins.parse(text)
        os.environ[stand_ins.VARIABLE] = text


def provider_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--provider``, ``--install`` and ``--server``; the last one is only in the environment then."""
    command = click.option(
        "--server",
        "stand_ins",
        multiple=True,
        metavar="KIND=SERVER",
        expose_value=False,
        callback=_choose_servers,
        help="Server to use for a kind of broker, such as redis=valkey; repeatable.",
    )(command)
    command = click.option(
        "--install/--no-install",
        default=None,
        help="Install missing brokers as Debian packages, or not (default: only as root).",
    )(command)
    return click.option(
        "--provider",
        type=click.Choice(["url", "compose", "native"]),
        help="Source of the brokers (default: the first of these that has the broker).",
    )(command)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--format``, ``-o``, ``--language``, ``--brief`` and ``--no-notes`` for a result."""
    command = click.option(
        "--no-notes", "notes", flag_value=False, default=True, help="Leave the footnotes out of the table."
    )(command)
    command = click.option("--brief", is_flag=True, help="Print only the best rows, in about ten lines.")(
        command
    )
    command = LANGUAGE(command)
    return output_in(RESULT.names)(command)


def output_in(formats: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds ``--format``, with the first of these as default, and ``-o``."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        command = click.option(
            "-o",
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write the output to this file.",
        )(command)
        return click.option(
            "--format",
            "format_",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="Output format.",
        )(command)

    return add


RESULTS = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for the results.",
)
"""The option that names the results folder."""


def shown(folder: Path) -> str:
    """Return a folder as it is best named from here: relative where it lies below the current folder."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(folder)


def emit(
    result: Result,
    format_: str,
    output: Path | None,
    *,
    folder: str = "",
    notes: bool = True,
    brief: bool = False,
    language: Language = "en",
) -> None:
    """Write a result in one of its formats, to stdout or into a file. Raise ResultsError.

    ``folder`` is the folder of the run, as it is best named from here. Without ``notes``, or with ``brief``,
    a table is shorter; the other formats have everything.
    """

    def render(look: Look) -> str:
        return RESULT.formatted(result, format_, replace(look, folder=folder, notes=notes, brief=brief))

    emit_text(render, output, utf_8=RESULT.named(format_).utf_8, language=spoken(format_, language))


def spoken(format_: str, language: Language) -> Language:
    """Return the language of a format: data for programs is the same in every language."""
    return language if format_ in (TABLE.name, MARKDOWN.name, "html") else "en"


def emit_text(
    render: Callable[[Look], str], output: Path | None, *, utf_8: bool, language: Language = "en"
) -> None:
    """Write text to stdout or into a file, in UTF-8 wherever it goes if so asked. Raise ResultsError."""
    from ipclab.report.look import WIDTH, Look
    from ipclab.report.terminal import wants_colour

    on_terminal = output is None and out().isatty()
    columns = width(WIDTH) if output is None else WIDTH
    with speaking(language):
        text = render(Look(columns, on_terminal and wants_colour(out())))
    if output is not None:
        write(output, text)
    else:
        put(text.encode() if utf_8 else text, nl=False)


@contextmanager
def writable(*paths: Path | None) -> Iterator[None]:
    """Check before a long run whether these files can be written; delete those that nothing was written to.

    Raise ResultsError.
    """
    from ipclab.errors import ResultsError
    from ipclab.host.files import require_writable

    made: list[Path] = []
    try:
        for path in paths:
            if path is None or str(path) in _STDOUT:
                continue
            try:
                if not require_writable(path):
                    made.append(path)
            except OSError as error:
                raise ResultsError(f"cannot write {path}: {error.strerror}; name another file") from error
        yield
    finally:
        for path in made:
            with suppress(OSError):
                if path.stat().st_size == 0:
                    path.unlink()


_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def write(path: Path, text: str) -> None:
    """Write a file in UTF-8, whatever the locale is. Raise ResultsError."""
    from ipclab.errors import ResultsError
    from ipclab.host.files import require_writable

    if str(path) in _STDOUT:
        # While foreign code may print, the descriptor of stdout leads to stderr.
        put(text, nl=False)
        return
    try:
        require_writable(path)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}; name another file") from error
