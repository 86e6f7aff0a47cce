"""``ipclab conform`` on backends of the user, in an environment without pytest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.documents import CHECKOUT
from tests.support.program import Ipclab

EXAMPLE = CHECKOUT / "docs" / "examples" / "sqlite-backend" / "ipclab_sqlite.py"
CARELESS = """
from ipclab.backends.local.queue import SimpleQueueChannel


class Careless(SimpleQueueChannel):
    name = "careless"
    summary = "can be torn down once, after it was set up"

    def setup(self):
        super().setup()
        self.made = True

    def teardown(self):
        super().teardown()
        del self.made
"""
SHARED = """
from ipclab.backends.local.mutex import ValueMutex


class MyLock(ValueMutex):
    name = "my-lock"
"""


@pytest.fixture
def no_pytest(tmp_path: Path) -> dict[str, str]:
    """The environment in which pytest cannot be imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "pytest.py").write_text("raise ImportError('pytest is not installed')\n")
    return {"PYTHONPATH": str(tmp_path / "site"), "COLUMNS": "300"}


@pytest.mark.slow
def test_the_example_of_the_documentation_keeps_every_promise(
    ipclab: Ipclab, here: Path, no_pytest: dict[str, str]
) -> None:
    shutil.copy(EXAMPLE, here / "queue.py")
    ended = ipclab("conform", "queue.py:SqliteChannel", "--badge", "sqlite.svg", **no_pytest)
    assert ended.code == 0, ended.out + ended.err
    assert ended.out.splitlines()[-1] == "11 promises: 11 kept"
    assert "11 promises kept" in (here / "sqlite.svg").read_text()


@pytest.mark.slow
def test_a_broken_promise_is_told_with_its_reason_and_is_code_1(
    ipclab: Ipclab, here: Path, no_pytest: dict[str, str]
) -> None:
    (here / "careless.py").write_text(CARELESS)
    ended = ipclab("conform", "careless.py:Careless", "--format", "json", **no_pytest)
    assert ended.code == 1, ended.err
    found = {one["promise"]: one for one in json.loads(ended.out)["outcomes"]}
    assert {name for name, one in found.items() if one["verdict"] != "kept"} == {"leaves-nothing", "teardown"}
    assert found["teardown"]["reason"].startswith("AttributeError: ")
    assert "ipclab: broken: a channel that was never set up can be torn down (careless): " in ended.err


def test_a_backend_without_promises_is_refused_with_what_to_use(ipclab: Ipclab, here: Path) -> None:
    (here / "mine.py").write_text(SHARED)
    ended = ipclab("conform", "mine.py:MyLock")
    assert ended.code == 2
    assert "my-lock is a lock" in ended.err
    assert "ipclab run race" in ended.err


def test_an_unknown_backend_is_refused_with_the_nearest_names(ipclab: Ipclab) -> None:
    ended = ipclab("conform", "pype")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean" in ended.err
