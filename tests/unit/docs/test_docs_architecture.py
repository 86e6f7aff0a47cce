"""The map shows the house as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ipclab
from tests.support.documents import ARCHITECTURE, CHECKOUT, code, section, tables

TEXT = ARCHITECTURE.read_text()
PACKAGE = Path(ipclab.__file__).parent
NAMED = sorted({name for name in re.findall(r"`([\w./-]+)`", TEXT) if "/" in name or name.endswith(".py")})


@pytest.mark.parametrize("name", NAMED)
def test_every_file_and_folder_that_the_map_names_exists(name: str) -> None:
    assert (CHECKOUT / name).exists() or (PACKAGE / name).exists()


def test_every_room_is_on_the_map() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    named = {Path(name).name for row in tables(section(TEXT, "The rooms"))[0] for name in code(row[0])}
    assert rooms <= named
