"""How make comes by its virtual environment, and that it leaves those of others alone."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.documents import CHECKOUT
from tests.support.program import Ended
from tests.support.servers import unavailable

SCRIPT = CHECKOUT / "scripts" / "make-venv"
PYTHON = """#!/bin/sh
case "$1" in
--version) echo "Python 3.11" ;;
-m) mkdir -p "$3/bin" && touch "$3/bin/python"; exit "${FAILS:-0}" ;;
esac
"""
"""Stands for Python, so that the tests need no second for each environment."""

Make = Callable[..., Ended]


@pytest.fixture
def make_venv(tmp_path: Path) -> Make:
    """Runs the script for the folder ``venv``."""
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)

    def run(venv: Path, **more: str) -> Ended:
        ended = subprocess.run(
            ["sh", SCRIPT],
            env={**os.environ, "PYTHON": str(python), "VENV": str(venv), **more},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def content(folder: Path) -> dict[str, str]:
    """Every file under it, with what is in it."""
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("file", ["pyvenv.cfg", ".hidden", "bin/python"])
def test_a_folder_that_is_not_the_labs_is_refused_and_left_untouched(
    tmp_path: Path, make_venv: Make, file: str
) -> None:
    theirs = tmp_path / "theirs"
    (theirs / file).parent.mkdir(parents=True)
    (theirs / file).write_text("precious")
    ended = make_venv(theirs)
    assert ended.code == 2
    assert f"{theirs} was not made by make; move or delete it, or name another folder" in ended.line
    assert content(theirs) == {file: "precious"}


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_is_no_folder_is_refused_and_left_untouched(tmp_path: Path, make_venv: Make, kind: str) -> None:
    theirs = tmp_path / "theirs"
    if kind == "file":
        theirs.write_text("precious")
    else:
        theirs.symlink_to(tmp_path / "unmounted")
    ended = make_venv(theirs)
    assert (ended.code, ended.out) == (2, "")
    assert "was not made by make" in ended.line
    assert theirs.is_symlink() or theirs.read_text() == "precious"
    assert not (tmp_path / "unmounted").exists()


def test_an_environment_is_made_where_nothing_or_an_empty_folder_is(tmp_path: Path, make_venv: Make) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing"):
        assert make_venv(tmp_path / name).code == 0
        assert set(content(tmp_path / name)) == {".made", "bin/python"}


def test_what_an_interrupted_make_left_is_made_anew(tmp_path: Path, make_venv: Make) -> None:
    venv = tmp_path / "venv"
    assert make_venv(venv, FAILS="1").code == 1
    assert set(content(venv)) == {".making", "bin/python"}
    (venv / ".left").touch()
    assert make_venv(venv).code == 0
    assert set(content(venv)) == {".made", "bin/python"}


def test_an_environment_that_make_made_is_replaced(tmp_path: Path, make_venv: Make) -> None:
    venv = tmp_path / "venv"
    assert make_venv(venv).code == 0
    (venv / ".runtime").touch()
    assert make_venv(venv).code == 0
    assert set(content(venv)) == {".made", "bin/python"}


@pytest.mark.parametrize(("arguments", "used"), [((), ".venv"), (("VENV=mine",), "mine")])
def test_make_takes_its_folder_from_the_command_line_and_not_from_the_environment(
    arguments: tuple[str, ...], used: str
) -> None:
    if shutil.which("make") is None:
        unavailable("make is not installed: sudo apt-get install make")
    # What a make that runs this suite says to the makes below it is not for this one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    answer = subprocess.run(
        ["make", "--dry-run", "clean", *arguments],
        cwd=CHECKOUT,
        env={**environ, "VENV": "theirs"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"rm -rf {used} ")
