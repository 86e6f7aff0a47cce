"""GitHub's workflows and actions on this machine: expressions filled in, shell steps run as a runner runs
them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.documents import CHECKOUT, blocks

ACTION = CHECKOUT / "action.yml"
PAGE = CHECKOUT / "docs" / "ci.md"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def action() -> dict[str, Any]:
    """Return the action of this repository."""
    found = yaml.safe_load(ACTION.read_text())
    assert isinstance(found, dict)
    return found


def workflows() -> dict[str, dict[str, Any]]:
    """Return the workflows of docs/ci.md by their names."""
    found = [yaml.safe_load(block) for block in blocks(PAGE.read_text(), "yaml")]
    return {workflow["name"]: workflow for workflow in found}


def steps(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a workflow with one job."""
    (job,) = workflow["jobs"].values()
    return list(job["steps"])


@dataclass
class Runner:
    """Works in ``folder`` with these values of expressions, such as ``inputs.experiment``."""

    folder: Path
    values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.output = self.folder / "output"
        self.summary = self.folder / "summary"
        self.values |= {"runner.temp": str(self.folder), "github.action_path": str(CHECKOUT)}

    def filled(self, text: str) -> str:
        """Return the text with every expression replaced by its value; an unknown one is empty."""
        return _EXPRESSION.sub(lambda found: self.values.get(found[1], ""), text)

    def run(self, step: Mapping[str, Any], **more: str) -> subprocess.CompletedProcess[str]:
        """Run a shell step as a runner does, and take over what it puts out."""
        environ = {name: self.filled(str(value)) for name, value in step.get("env", {}).items()}
        environ |= {"GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary), **more}
        script = self.folder / "step.sh"
        script.write_text(self.filled(step["run"]))
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=100,
        )
        if self.output.exists() and "id" in step:
            for line in self.output.read_text().splitlines():
                name, _, value = line.partition("=")
                self.values[f"steps.{step['id']}.outputs.{name}"] = value
        return ended


def inputs(given: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the values of the action's inputs, with its defaults."""
    known = {name: str(of.get("default", "")) for name, of in action()["inputs"].items()}
    return {f"inputs.{name}": str(value) for name, value in (known | dict(given or {})).items()}
