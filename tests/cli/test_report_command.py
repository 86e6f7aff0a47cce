"""``ipclab report`` and the page that each run leaves, by the real program on real runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.documents import CHECKOUT
from tests.support.pages import Read
from tests.support.program import Ipclab

SHORT = ("--repeats", "1", "--duration", "0.1", "--warmup", "0.05")
RUN = ("run", "comparison", "--backend", "pipe", "--backend", "value", *SHORT)


def text_of(path: Path) -> str:
    return Read(path.read_text(encoding="utf-8")).words


def test_a_run_leaves_a_page_and_says_where(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab(*RUN)
    *_, last = ended.err.splitlines()
    page = here / last.removeprefix("ipclab: open it in a browser: ")
    assert page == (here / "results" / "latest").resolve() / "report.html"
    rows = json.loads(ipclab("show", "--format", "json").out)["rows"]
    words = text_of(page)
    assert rows
    for row in rows:
        assert f"{row['name']} {row['mode']}".strip() in words


def test_the_brief_result_of_a_stored_run_says_where_its_page_is(ipclab: Ipclab, here: Path) -> None:
    run = here / "results" / "comparison" / "20261130T000000Z"
    run.mkdir(parents=True)
    shutil.copy(CHECKOUT / "docs" / "run" / "comparison" / "result.json", run)
    assert "browser" not in ipclab("show", "--brief").err
    (run / "report.html").touch()
    ended = ipclab("show", "--brief")
    assert "open it in a browser: results/comparison/20261130T000000Z/report.html" in ended.err
    assert len(ended.out.splitlines()) <= 11


def test_a_page_that_cannot_be_written_does_not_spoil_the_run(
    ipclab: Ipclab, here: Path, tmp_path: Path
) -> None:
    template = tmp_path / "site" / "sitecustomize.py"
    template.parent.mkdir()
    template.write_text(
        "import ipclab.report.html.page as page\n"
        "def fail(*_):\n    raise OSError('no\\nroom')\n"
        "page.make_page = fail\n"
    )
    ended = ipclab(*RUN, PYTHONPATH=str(template.parent))
    assert ended.code == 0
    assert "pipe" in ended.out
    assert ended.err.splitlines()[-1] == (
        "ipclab: the page could not be written, all else is stored: OSError: no room"
    )
    assert (here / "results" / "latest" / "result.json").is_file()
    assert not (here / "results" / "latest" / "report.html").exists()


def test_without_a_name_the_newest_run_of_each_experiment_is_on_the_page(ipclab: Ipclab, here: Path) -> None:
    ipclab("run", "round_trip", "--backend", "pipe", *SHORT)
    ipclab(*RUN)
    ended = ipclab("report")
    assert (ended.code, ended.out, ended.line) == (0, "", "ipclab: written: report.html")
    words = text_of(here / "report.html")
    assert words.index("comparison: How can") < words.index("round_trip: How")
    assert "stored in results/comparison/20" in words


def test_runs_and_kept_claims_are_named_in_any_order(ipclab: Ipclab, here: Path) -> None:
    shutil.copy(CHECKOUT / "docs" / "claims" / "3.11.json", here / "claims.json")
    ipclab(*RUN)
    assert ipclab("report", "claims.json", "comparison", "-o", "here.html").code == 0
    words = text_of(here / "here.html")
    assert "Claims of study notes" in words
    assert "pipe" in words


def test_the_pictures_are_written_for_both_grounds(ipclab: Ipclab, here: Path) -> None:
    ipclab(*RUN)
    assert ipclab("report", "--svg", "docs/images").code == 0
    found = {path.name for path in (here / "docs" / "images").iterdir()}
    assert {"comparison-lines-light.svg", "comparison-lines-dark.svg"} <= found
    assert len(found) % 2 == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "there are no results in results yet"),
        (("nothing-like-it",), "there are no results in results yet"),
        (("-o", "missing/folder/report.html"), "cannot write missing/folder/report.html"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    ipclab: Ipclab, here: Path, arguments: tuple[str, ...], says: str
) -> None:
    ended = ipclab("report", *arguments)
    assert ended.code != 0
    assert says in ended.line
    assert not list(here.iterdir())
