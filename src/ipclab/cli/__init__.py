"""The command line: the only place that parses arguments and prints.

Data goes to stdout, everything else to stderr. A command is imported when it is used, so that ``ipclab
--help`` answers at once.
"""

from __future__ import annotations

import copy
import functools
import importlib
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import click

from ipclab import __version__
from ipclab.cli.endings import Endings, end_what_is_left
from ipclab.cli.streams import data_apart, prepare, put, say, tell
from ipclab.exit_codes import BY_SIGNAL, ExitCode
from ipclab.host.interruptions import EndedBySignal
from ipclab.host.text import clean

COMMANDS = {
    "demo": "ipclab.cli.run:demo",
    "run": "ipclab.cli.run:run",
    "choose": "ipclab.cli.choose:choose",
    "up": "ipclab.cli.servers:up",
    "down": "ipclab.cli.servers:down",
    "status": "ipclab.cli.servers:status",
    "list": "ipclab.cli.lists:list_experiments",
    "show": "ipclab.cli.lists:show",
    "report": "ipclab.cli.report:report",
    "backends": "ipclab.cli.lists:backends",
    "check": "ipclab.cli.check:check",
    "compare": "ipclab.cli.compare:compare",
    "gate": "ipclab.cli.gate:gate",
    "trend": "ipclab.cli.trend:trend",
    "conform": "ipclab.cli.conform:conform",
    "claims": "ipclab.cli.claims:claims",
    "hang": "ipclab.cli.hang:hang",
    "doctor": "ipclab.cli.doctor:doctor",
    "hosts": "ipclab.cli.hosts:hosts",
}
SUMMARIES = {
    "demo": "Compare every way to share state that this machine has: the first thing to run.",
    "run": "Run an experiment and print its table.",
    "choose": "Say which backend fits your jobs, from stored runs, and why the others do not.",
    "up": "Start the brokers and leave them running.",
    "down": "Stop the brokers that 'up' started.",
    "status": "Show the brokers that a run would use.",
    "list": "List the experiments and the stored results.",
    "show": "Print a stored result again.",
    "report": "Write one page with pictures about stored results, to open in a browser.",
    "backends": "List the backends, their declarations, and whether this machine can use them.",
    "check": "Check a stored history, from ipclab or another program; runs no experiment.",
    "compare": "Compare two stored results: what is worse, better, the same or undecided.",
    "gate": "Run an experiment, and fail where it is worse than before or breaks a limit.",
    "trend": "Draw the stored runs of an experiment over time.",
    "conform": "Check a backend, such as one of your own, against what it declares.",
    "claims": "Test the claims of study notes about processes and threads by experiment.",
    "hang": "Say in what a running Python program hangs, and how to cure it.",
    "doctor": "Show what this machine has, what it lacks, and whether its clock is reliable.",
    "hosts": "Check the machines of a run on several.",
}
_NOBODY_READS = 1
"""The code with which Click ends a program whose stdout has no reader any more."""


class _LazyGroup(click.Group):
    """Knows its commands by name, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        guarded = copy.copy(command)
        assert command.callback is not None
        guarded.callback = _hide_from_click(command.callback)
        guarded.make_parser = functools.partial(_parser_of_single_options, command)  # type: ignore[method-assign]
        return guarded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from ipclab.errors import UnknownNameError

            raise UnknownNameError("command", name, COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])


_CLI_HELP = """Measure and check how Python processes on this machine share state.

Start with 'ipclab demo': it compares all backends that this machine can use.

Exit codes: 0 success; 1 a declared guarantee was broken; 2 usage error; 3 a verdict is unknown;
4 a broker cannot be reached; 130 interrupted.
"""


_NEXT = """ipclab demo     measures every way that this machine has to share state, and takes a few minutes
ipclab report   writes a page with pictures about the stored results
ipclab --help   lists all commands"""


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, help=_CLI_HELP)
@click.version_option(__version__, prog_name="ipclab")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Run ``ipclab``; its help is ``_CLI_HELP``."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program ``ipclab``; always exits."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    prepare()
    endings = Endings()
    endings.install()
    try:
        code = _run(arguments, debug)
        endings.over()
    except (KeyboardInterrupt, EndedBySignal) as late:
        # The signal came while the last messages about something else were written.
        endings.over()
        code = _explain(late)
    sys.exit(code)


def _parser_of_single_options(command: click.Command, ctx: click.Context) -> Any:
    """Return the command's parser, which refuses an option that is given twice with different values.

    Click silently takes the last value, so the first one would be lost.
    """
    parser: Any = command.make_parser(ctx)
    for option in {*parser._short_opt.values(), *parser._long_opt.values()}:
        if option.action in ("store", "store_const"):
            option.process = functools.partial(_store_once, option, option.process)
    return parser


def _store_once(option: Any, process: Callable[[Any, Any], None], value: Any, state: Any) -> None:
    before = state.opts.get(option.dest, option)
    process(value, state)
    if before is not option and before != state.opts[option.dest]:
        raise click.UsageError(f"{option.obj.opts[0]} is given twice with different values: give it once")


def _run(arguments: list[str], debug: bool) -> int:
    try:
        code = cli.main(args=_move_debug_first(arguments), prog_name="ipclab", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except SystemExit as stop:
        if not stop.code:
            return ExitCode.SUCCESS
        # Click ends with 1 when nobody reads its help, which is no error. Commands return their code.
        return stop.code if isinstance(stop.code, int) and stop.code != _NOBODY_READS else ExitCode.SUCCESS
    except (Exception, KeyboardInterrupt, EndedBySignal) as error:  # noqa: BLE001 - any error becomes one line
        if debug:
            tell(clean(traceback.format_exc(), lines=True))
        return _explain(error)
    return int(code or ExitCode.SUCCESS)


def _explain(error: BaseException) -> int:
    """Print in one line what went wrong; return the exit code."""
    from ipclab.errors import IpclabError

    if isinstance(error, EndedBySignal):
        say(f"stopped by a signal; {_what_was_ended()}")
        return BY_SIGNAL + error.number
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        say(f"interrupted; {_what_was_ended()}")
        return ExitCode.INTERRUPTED
    if isinstance(error, click.ClickException):
        say(f"{error.format_message()}{_help_hint(error)}")
        return ExitCode.USAGE
    if isinstance(error, IpclabError):
        say(str(error))
        return error.exit_code
    cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
    defect = "" if isinstance(error, OSError) else "this is a bug in ipclab: "
    say(f"{cause} ({defect}'ipclab --debug …' shows where)")
    return ExitCode.BROKEN


def _what_was_ended() -> str:
    """End what is left; return a sentence about it, which is written only once it is true."""
    left = end_what_is_left()
    if not left:
        return "all started processes and brokers are stopped"
    return (
        f"not stopped yet: {', '.join(left)}, which does not answer; a background process of the lab keeps "
        "trying, and 'ipclab down' stops it too"
    )


def _move_debug_first(arguments: list[str]) -> list[str]:
    """Move ``--debug``, which may stand anywhere, to the front. No arguments mean ``--help``, which is
    short on a terminal."""
    others = [a for a in arguments if a != "--debug"]
    if not others and sys.stdout.isatty():
        put(_NEXT)
        raise click.exceptions.Exit(0)
    return [*(["--debug"] if "--debug" in arguments else []), *(others or ["--help"])]


def _help_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f" (see '{error.ctx.command_path} --help')"
    return ""


def _hide_from_click(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return the callback of a command, with errors hidden that Click would misread.

    Click takes every broken pipe for a reader that has gone, and ends the program without a message and with
    Click's own code. ``streams`` handles readers, so within a command a broken pipe is an error like any
    other. On an interruption Click prints an empty line, and fails where stderr has been interrupted as well.
    """

    @functools.wraps(callback)
    def call(*args: Any, **settings: Any) -> Any:
        try:
            with data_apart():
                return callback(*args, **settings)
        except BrokenPipeError as error:
            raise OSError(str(error)) from error
        except KeyboardInterrupt as error:
            tell("\n")
            raise click.Abort from error
        except SystemExit as stop:
            from ipclab.errors import ChannelError

            raise ChannelError(
                f"a backend or a library called sys.exit({stop.code!r}), which ended the command; "
                f"'ipclab --debug …' shows where"
            ) from stop

    return call
