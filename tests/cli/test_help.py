"""The options that the program promises, and its help."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from ipclab.cli import COMMANDS, SUMMARIES, cli
from ipclab.cli.run import run
from tests.support.program import Ipclab

PROMISED = {
    "--backend", "--producers", "--consumers", "--size", "--rate", "--duration", "--warmup", "--repeats",
    "--window", "--start-method", "--seed", "--format", "-o", "--provider", "--install",
}  # fmt: skip


def test_a_run_has_every_option_that_is_promised() -> None:
    options = {name for option in run.params for name in option.opts}
    assert options >= PROMISED


def test_every_option_and_every_command_says_what_it_is_for() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help, name
        undescribed = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert not [option for option in undescribed if option != "language"], name


def test_the_summaries_of_the_overview_are_those_of_the_commands() -> None:
    assert list(COMMANDS) == list(SUMMARIES)


def test_the_formats_are_those_of_the_results() -> None:
    (format_,) = [option for option in run.params if option.name == "format_"]
    assert isinstance(format_.type, click.Choice)
    assert list(format_.type.choices) == ["table", "json", "csv", "md", "html"]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("--debug",)])
def test_help_is_data_and_names_every_command_and_exit_code(
    ipclab: Ipclab, arguments: tuple[str, ...]
) -> None:
    ended = ipclab(*arguments)
    assert (ended.code, ended.err) == (0, "")
    for name in COMMANDS:
        assert f"  {name} " in ended.out
    for code in ("0 success", "1 a declared guarantee", "2 usage", "3 a verdict", "4 a broker", "130 inter"):
        assert code in " ".join(ended.out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(ipclab: Ipclab, name: str) -> None:
    ended = ipclab(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: ipclab {name}")


def test_help_imports_no_client_and_no_numbers(environ: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "from ipclab.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'redis', 'pika', 'pymemcache', 'docker', 'numpy', 'scipy', 'rich', 'multiprocessing'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True)
    assert ended.stderr == "[]\n"
