"""docs/writing-a-backend.md shows the very package that is tested, and it is short."""

from __future__ import annotations

import tomllib

from ipclab.backends.plugins import ENTRY_POINT_GROUP
from ipclab.brokers.kinds.registry import ENTRY_POINT_GROUP as KINDS_GROUP
from tests.support.documents import CHECKOUT, blocks

PAGE = (CHECKOUT / "docs" / "writing-a-backend.md").read_text()
EXAMPLE = CHECKOUT / "docs" / "examples" / "sqlite-backend"
ADAPTER = (EXAMPLE / "ipclab_sqlite.py").read_text()
PROJECT = (EXAMPLE / "pyproject.toml").read_text()
SERVER = CHECKOUT / "docs" / "examples" / "tiny-broker"
KIND = (SERVER / "ipclab_tiny.py").read_text()
SERVER_PROJECT = (SERVER / "pyproject.toml").read_text()


def test_the_page_shows_the_file_of_the_example_as_it_is() -> None:
    assert blocks(PAGE, "python") == [ADAPTER, KIND]


def test_the_page_shows_the_project_file_of_the_example_as_it_is() -> None:
    assert blocks(PAGE, "toml") == [PROJECT, SERVER_PROJECT]


def test_the_backend_takes_under_60_lines() -> None:
    assert len(ADAPTER.splitlines()) < 60


def test_its_entry_point_is_in_the_group_that_the_registry_reads() -> None:
    (target,) = tomllib.loads(PROJECT)["project"]["entry-points"][ENTRY_POINT_GROUP].values()
    module, _, name = target.partition(":")
    assert (EXAMPLE / f"{module}.py").is_file()
    assert f"class {name}(Channel):" in ADAPTER


def test_the_kind_of_server_takes_under_150_lines_and_has_the_name_of_its_entry_point() -> None:
    assert len(KIND.splitlines()) < 150
    points = tomllib.loads(SERVER_PROJECT)["project"]["entry-points"]
    assert points[KINDS_GROUP] == {"tiny": "ipclab_tiny:Tiny"}
    assert 'name = "tiny"' in KIND
