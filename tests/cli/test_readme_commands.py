"""Every command that the documents give can be given; every command and option stands in the guide."""

from __future__ import annotations

import pkgutil
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from ipclab import experiment
from ipclab.backends.registry import Variant, channel_names, counter_names
from ipclab.cli import COMMANDS, cli
from ipclab.exit_codes import ExitCode
from tests.support.documents import (
    BOTH,
    CHECKOUT,
    PAGES,
    code,
    commands,
    guide,
    ipclab_calls,
    tables,
)
from tests.support.servers import unavailable

ENGLISH = guide()
CALLS = [
    pytest.param(call, id=f"{page.name}: {' '.join(call)}")
    for page in PAGES
    if page not in [chinese for _, chinese in BOTH]
    for call in ipclab_calls(page.read_text())
]
EXAMPLES = {"my-sqlite", "tiny-queue"}
"""The backends of docs/writing-a-backend.md, which are not installed here."""


OTHER_PROGRAMS = {
    *("--detach", "--profile", "--rm", "--wait", "--volumes", "--cap-add"),  # docker
    *("--strict", "--quiet"),  # mypy, pip
    "--schemafile",  # check-jsonschema
    "--auth-file",  # memcached
    "--ipclab-strict",  # pytest with the plug-in
}
"""Options that the documents name and that are not of ipclab's command."""


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, f"there is no command {name}"
    return found


@pytest.mark.parametrize("call", CALLS)
def test_a_command_of_the_documents_can_be_given_like_that(
    call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any("jobs.jsonl" in word for word in call):  # a file of the reader's own
        monkeypatch.chdir(tmp_path)
        (tmp_path / "jobs.jsonl").write_text('{"job": 1}\n')
    if call[0].startswith("-"):
        cli.make_context("ipclab", [*call, "list"])
        return
    if len(call) == 1:
        command(call[0])  # named only, not given
        return
    parsed = command(call[0]).make_context(f"ipclab {call[0]}", call[1:]).params
    if call[0] == "run" and parsed["name"].islower():
        assert parsed["name"] in experiment.names()
    for variant in parsed.get("backends", ()):
        assert isinstance(variant, Variant)
        assert variant.name in {*channel_names(), *counter_names(), *EXAMPLES, "NAME"}


def test_every_command_is_in_the_guide() -> None:
    (found,) = [t for t in tables(ENGLISH) if t[0][0] == "command"]
    assert {code(row[0])[0] for row in found[1:]} == {f"ipclab {name}" for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_guide(name: str) -> None:
    for parameter in command(name).params:
        for flag in (*parameter.opts, *parameter.secondary_opts):
            if flag.startswith("-"):
                assert re.search(rf"`{re.escape(flag)}[` ]", ENGLISH), flag


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_document_names_exists(page: Path) -> None:
    parameters = [*cli.params, *(p for name in COMMANDS for p in command(name).params)]
    known = {flag for p in parameters for flag in (*p.opts, *p.secondary_opts)}
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", page.read_text()))
    assert named <= known | OTHER_PROGRAMS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_and_program_of_the_project_that_a_document_gives_exists(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"\b(?:benchmarks|experiments|tests|src)/[\w./-]+\.py\b", text):
        assert (CHECKOUT / path).is_file(), path
    if page.name == "CHANGELOG.md":
        return  # it names what was removed, too
    for name in re.findall(r"`(ipclab(?:\.\w+)+)`", text):
        assert pkgutil.resolve_name(name) is not None


def test_the_exit_codes_are_those_of_the_help() -> None:
    help_text = " ".join((cli.help or "").split())
    listed = re.findall(r"(?:: |; )(\d+) ", help_text[help_text.index("Exit codes") :])
    assert listed == [str(int(code)) for code in ExitCode]
    for language in (0, 1):
        found = next(t for t in tables(guide(language)) if [row[0] for row in t[1:3]] == ["0", "1"])
        assert [row[0] for row in found[1:]] == listed


def test_the_programs_of_the_experiments_are_where_the_guide_says() -> None:
    named = [shlex.split(line)[1] for line in commands(ENGLISH) if line.startswith("python ")]
    assert named
    for path in named:
        assert (CHECKOUT / path).is_file()


@pytest.mark.parametrize("line", [line for line in commands(ENGLISH) if line.startswith("make ")])
def test_make_knows_what_the_guide_asks_of_it(line: str) -> None:
    if shutil.which("make") is None:
        unavailable("make is not installed: sudo apt-get install make")
    answer = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    assert {"demo": "ipclab demo", "test": "pytest"}.get(line.split()[1], "") in answer.stdout


def test_every_line_of_a_command_block_is_of_a_kind_that_is_tested() -> None:
    known = ("ipclab ", "make ", "python experiments/", "docker compose ", "export ", ". .venv/bin/activate")
    for line in commands(ENGLISH):
        assert line.startswith(known), line
