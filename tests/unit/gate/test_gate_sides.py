"""The other side of a gate: an interpreter, a virtual environment, or a git revision."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ipclab.errors import UsageError
from ipclab.gate import sides


def heard(_: str) -> None:
    """Nobody listens."""


def test_an_interpreter_is_taken_as_it_is() -> None:
    with sides.other(sys.executable, heard) as found:
        assert found.python == sys.executable


def test_a_virtual_environment_is_taken_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    with sides.other(str(tmp_path), heard) as found:
        assert found.python == str(tmp_path / "bin" / "python")


def test_what_is_none_of_these_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no interpreter, no virtual environment, and no git revision"):
        sides.other("no-such-thing", heard).__enter__()


def test_an_interpreter_without_ipclab_is_refused(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(UsageError, match="cannot import ipclab"):
        sides.other(str(bare), heard).__enter__()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a package of which the first revision has version 1 and the second version 2."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "Test")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "test@example.org")
    git("init", "-q", ".")
    for version in (1, 2):
        (folder / "thing.py").write_text(f"VERSION = {version}\n")
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
            f'[project]\nname = "thing"\nversion = "{version}"\n'
            '[tool.hatch.build.targets.wheel]\ninclude = ["thing.py"]\n'
        )
        git("add", "-A")
        git("commit", "-qm", f"version {version}")
    return folder


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


def test_a_git_revision_is_built_into_an_environment_that_shares_the_other_packages(repository: Path) -> None:
    with sides.other("HEAD~1", heard) as found:
        asked = subprocess.run(
            [found.python, "-P", "-c", "import thing, ipclab, numpy; print(thing.VERSION, ipclab.__file__)"],
            capture_output=True,
            text=True,
            check=True,
            cwd=repository,
        )
        version, where = asked.stdout.split()
        import ipclab

        assert (version, where) == ("1", ipclab.__file__)
        assert found.label.startswith("HEAD~1 (")
        python = Path(found.python)
    assert not python.exists()


def test_a_revision_that_is_no_package_is_refused(repository: Path) -> None:
    git("rm", "-q", "pyproject.toml")
    git("commit", "-qm", "none")
    with pytest.raises(UsageError, match=r"no pyproject\.toml"):
        sides.other("HEAD", heard).__enter__()
