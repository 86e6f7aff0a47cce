"""The workflow files of the project: CI, and the release with its notes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import ipclab

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
RELEASE: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())


@pytest.fixture(scope="module")
def notes() -> ModuleType:
    """The program that takes the section of a version out of the changelog."""
    spec = importlib.util.spec_from_file_location("notes", ROOT / "scripts" / "notes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_workflow_files_follow_the_published_schema() -> None:
    assert len(WORKFLOWS) >= 2
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_release_is_built_checked_and_tested_before_it_is_published() -> None:
    jobs = RELEASE["jobs"]
    assert jobs["publish"]["needs"] == ["wheel", "sdist"]
    assert jobs["wheel"]["needs"] == jobs["sdist"]["needs"] == "build"
    assert jobs["wheel"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_only_the_job_that_publishes_may_have_a_token_and_only_the_last_one_may_write() -> None:
    rights = {name: job.get("permissions", {}) for name, job in RELEASE["jobs"].items()}
    assert RELEASE["permissions"] == {"contents": "read"}
    assert {name for name, has in rights.items() if "id-token" in has} == {"publish"}
    assert {name for name, has in rights.items() if has.get("contents") == "write"} == {"release"}


def test_the_version_of_the_package_has_a_dated_section_in_the_changelog(notes: ModuleType) -> None:
    assert notes.packaged() == ipclab.__version__
    assert "### Added" in notes.section(CHANGELOG, ipclab.__version__)


def test_a_version_has_each_kind_of_change_once(notes: ModuleType) -> None:
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    parts = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]
    for part in parts:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert len(kinds) == len(set(kinds)), part.splitlines()[0]
        assert set(kinds) <= allowed


@pytest.mark.parametrize(
    ("version", "why"),
    [("9.9.9", "the package of"), (ipclab.__version__, "")],
)
def test_a_tag_of_another_version_is_refused(
    notes: ModuleType, version: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert notes.main(version) == (1 if why else 0)
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changelog", "why"),
    [("## [1.0.0] - unreleased\n\n- new\n", "has no date"), ("## [Unreleased]\n", "has no section")],
)
def test_a_version_without_a_date_or_a_section_is_refused(
    notes: ModuleType, changelog: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        notes.section(changelog, "1.0.0")


def test_the_section_ends_where_the_next_version_begins(notes: ModuleType) -> None:
    text = "## [1.1.0] - 2026-02-01\n\n- new\n\n## [1.0.0] - 2026-01-01\n\n- old\n"
    assert notes.section(text, "1.1.0") == "- new\n"
    assert notes.section(text, "1.0.0") == "- old\n"
