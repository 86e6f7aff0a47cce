"""The GitHub Action and the workflows of docs/ci.md: they fit the published schemas, and their shell steps
run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ipclab.cli.gate import gate
from tests.support.documents import code, tables
from tests.support.workflows import ACTION, PAGE, Runner, action, inputs, steps, workflows

SHORT = ("--size", "64", "--producers", "1", "--consumers", "1", "--duration", "0.3", "--warmup", "0.05")


def checked(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_action_follows_the_published_schema() -> None:
    found = checked("vendor.github-actions", ACTION)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", workflows())
def test_a_workflow_of_the_page_follows_the_published_schema(tmp_path: Path, name: str) -> None:
    file = tmp_path / "workflow.yml"
    # Read and written, "on" would come back as true.
    (block,) = [text for text in _blocks() if yaml.safe_load(text)["name"] == name]
    file.write_text(block)
    found = checked("vendor.github-workflows", file)
    assert found.returncode == 0, found.stdout + found.stderr


def _blocks() -> list[str]:
    from tests.support.documents import blocks

    return blocks(PAGE.read_text(), "yaml")


def test_the_page_explains_every_input_and_every_output_of_the_action() -> None:
    text = PAGE.read_text()
    (found,) = [table for table in tables(text) if table[0][0] == "input"]
    assert {name for row in found[1:] for name in code(row[0])} == set(action()["inputs"])
    for name in action()["outputs"]:
        assert f"`{name}`" in text


@pytest.mark.parametrize("name", workflows())
def test_what_a_workflow_asks_of_the_action_is_a_command_of_ipclab(tmp_path: Path, name: str) -> None:
    """A Python that only notes its arguments takes the place of the real one."""
    (use,) = [step for step in steps(workflows()[name]) if "OWNER/ipclab" in step.get("uses", "")]
    assert set(use["with"]) <= set(action()["inputs"])
    noted = tmp_path / "noted"
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\ncase "$*" in *"ipclab gate"*) printf "%s\\n" "$@" > "{noted}";; esac\n')
    stub.chmod(0o755)
    runner = Runner(tmp_path, inputs(use["with"] | {"python": str(stub)}) | {"github.base_ref": "main"})
    runner.values["inputs.against"] = runner.filled(runner.values["inputs.against"])
    for step in _shell_steps():
        runner.run(step)
    words = noted.read_text().splitlines()
    assert words[:4] == ["-P", "-m", "ipclab", "gate"]
    parsed = gate.make_context("gate", words[4:]).params
    assert parsed["name"] == use["with"]["experiment"]
    assert [str(backend) for backend in parsed["backends"]] == use["with"]["backends"].split()
    assert len(parsed["fail_if"]) == len(use["with"].get("fail-if", "").splitlines())
    if "against" in use["with"]:
        assert parsed["against"] == "origin/main"


def _shell_steps() -> list[dict[str, Any]]:
    return [step for step in action()["runs"]["steps"] if "run" in step]


@pytest.mark.parametrize(
    ("fail_if", "repeats", "code_", "verdict"),
    [
        ("lost > 0", "1", 0, "same"),
        ("goodput < 900G/s", "6", 1, "worse"),
        ("goodput < 1/s", "1", 3, "undecided"),
    ],
)
def test_the_action_runs_a_gate_and_tells_what_came_of_it(
    tmp_path: Path, environ: dict[str, str], fail_if: str, repeats: str, code_: int, verdict: str
) -> None:
    options = "\n".join((*SHORT, "--repeats", repeats))
    given = {"experiment": "throughput", "backends": "pipe\n", "options": options, "fail-if": fail_if}
    runner = Runner(tmp_path, inputs(given | {"python": sys.executable}))
    codes = [
        runner.run(step, IPCLAB_STATE_DIR=environ["IPCLAB_STATE_DIR"]).returncode for step in _shell_steps()
    ]
    assert codes == [0, 0, code_]
    assert runner.values["steps.gate.outputs.verdict"] == verdict
    assert runner.values["steps.gate.outputs.exit-code"] == str(code_)
    assert runner.summary.read_text() == Path(runner.values["steps.gate.outputs.table"]).read_text()
    report = Path(runner.values["steps.gate.outputs.report"])
    assert {path.suffix for path in report.iterdir()} == {".md", ".json", ".csv", ".txt", ".xml"}
    assert (tmp_path / "results" / "latest").exists()


def test_an_action_whose_gate_cannot_run_fails_and_says_error(tmp_path: Path) -> None:
    runner = Runner(
        tmp_path, inputs({"experiment": "no-such", "fail-if": "lost > 0", "python": sys.executable})
    )
    assert [runner.run(step).returncode for step in _shell_steps()] == [0, 0, 2]
    assert runner.values["steps.gate.outputs.verdict"] == "error"


def test_the_shell_steps_of_the_workflows_run(tmp_path: Path) -> None:
    """Docker and pip note what they are asked for: a package and a container of the user's are not here."""
    for name in ("docker", "python"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/asked"\n')
        (tmp_path / name).chmod(0o755)
    runner = Runner(tmp_path, {"steps.ipclab.outputs.verdict": "same", "job.services.redis.id": "4f9a"})
    import os

    for workflow in workflows().values():
        for step in steps(workflow):
            if "run" in step:
                ended = runner.run(step, PATH=f"{tmp_path}:{os.environ['PATH']}")
                assert ended.returncode == 0, ended.stderr
    assert runner.summary.read_text() == "verdict same\n"
    assert (tmp_path / "asked").read_text().splitlines() == [
        "docker exec 4f9a redis-cli config set appendonly yes",
        "python -m pip install --quiet .",
    ]


def test_the_gate_has_a_format_for_each_file_of_its_report() -> None:
    (format_,) = [option for option in gate.params if option.name == "format_"]
    assert isinstance(format_.type, click.Choice)
    assert set(format_.type.choices) == {"table", "md", "json", "csv", "junit"}
