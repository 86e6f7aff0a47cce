"""The unit tests mirror the package: each folder is one of the package's, and no file names another room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ipclab

PACKAGE = Path(ipclab.__file__).parent
UNIT = Path(__file__).parent
ABOUT_THE_DOCS = "docs"
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir()} | {ABOUT_THE_DOCS}


def test_every_folder_of_unit_tests_is_one_of_the_package() -> None:
    folders = {path.parent.relative_to(UNIT) for path in UNIT.rglob("test_*.py")}
    strange = [folder for folder in folders if not (PACKAGE / folder).is_dir()]
    assert strange == [Path(ABOUT_THE_DOCS)]


def test_no_file_of_unit_tests_names_another_room_than_the_one_it_is_in() -> None:
    assert [str(path) for path in misnamed(UNIT)] == []


def misnamed(unit: Path) -> Iterator[Path]:
    """Files whose first word is a room: those of ``host/test_trial_clock.py`` would be of ``trial``."""
    for path in unit.rglob("test_*.py"):
        within = path.relative_to(unit)
        word = path.stem.removeprefix("test_").partition("_")[0]
        if word in ROOMS and len(within.parts) > 1 and word not in within.parts[:-1]:
            yield within


def test_a_file_that_names_another_room_is_found(tmp_path: Path) -> None:
    for name in ("host/test_trial_clock.py", "host/test_host_text.py", "host/test_stacks.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(misnamed(tmp_path)) == [Path("host/test_trial_clock.py")]
