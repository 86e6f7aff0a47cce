"""The commands of the guide that need no broker do what it says: they are run, shortened, in their order."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.support.documents import commands, guide
from tests.support.readme import Reader, brokers_of

LINES = [line for line in dict.fromkeys(commands(guide())) if line.startswith(("ipclab ", "python "))]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Somebody who types the commands one after the other, in a folder of their own."""
    return Reader(tmp_path_factory.mktemp("reader"), {})


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in LINES if not brokers_of(line)])
def test_a_command_that_needs_no_broker_succeeds(reader: Reader, line: str) -> None:
    answer = reader.type(line)
    assert answer.returncode == 0, answer.stderr
    # What is asked for in a file is not shown.
    assert bool(answer.stdout) == (" -o " not in line and not line.startswith("ipclab report"))


def test_the_file_that_the_guide_asks_for_is_there(reader: Reader) -> None:
    with (reader.folder / "pipe.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["backend"], row["verdict"]) == ("pipe", "kept")


def test_a_run_leaves_the_files_that_the_guide_names(reader: Reader) -> None:
    latest = reader.folder / "results" / "latest"
    run = max((reader.folder / "results" / "comparison").iterdir())
    assert {path.name for path in run.iterdir()} == {"report.html", "result.json", "table.md"}
    assert latest.resolve().parent.parent == (reader.folder / "results").resolve()


def test_the_folders_of_the_results_are_named_as_the_guide_says(reader: Reader) -> None:
    found = list(Path(reader.folder, "results").glob("*/*/result.json"))
    assert found
    for result in found:
        assert result.parent.name.startswith("20")
        assert result.parent.name.endswith("Z") or "Z-" in result.parent.name
