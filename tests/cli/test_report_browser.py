"""The page of real runs in a real browser: readable without scripts, usable by mouse and by keyboard."""

from __future__ import annotations

import gzip
import importlib.resources
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipclab.report.formats import formatted
from ipclab.results.store import read
from tests.support import browser
from tests.support.browser import Page
from tests.support.documents import CHECKOUT
from tests.support.program import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_S = 120.0
COMPARISON = CHECKOUT / "docs" / "run" / "comparison" / "result.json"
DATA = Path(__file__).with_name("data")
"""Stored runs: ``crash`` is the whole fault matrix, 784 trials of every backend on private servers."""
NAMES = ("comparison", "race", "crash")
TIME = "20261130T000000Z"
AXE = Path(str(importlib.resources.files("axe_core_python") / "axe.min.js"))
TAB, ENTER, SPACE = ("Tab", 9), ("Enter", 13, "\r"), (" ", 32, " ")


class Told:
    """The page of stored runs that measured everything, and what the program says of them as JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in NAMES:
            run = folder / "results" / name / TIME
            run.mkdir(parents=True)
            packed = DATA / f"{name}.json.gz"
            stored = gzip.decompress(packed.read_bytes()) if packed.exists() else COMPARISON.read_bytes()
            (run / "result.json").write_bytes(stored)
        self.call("report", *NAMES, str(CHECKOUT / "docs" / "claims" / "3.11.json"))
        self.path = folder / "report.html"
        found = [read(folder / "results" / name / TIME / "result.json") for name in NAMES]
        self.results = [json.loads(formatted(result, "json")) for result in found]

    def call(self, *arguments: str) -> str:
        ended = subprocess.run(
            [PROGRAM, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    browser.require()
    return Told(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def one_browser(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def page(told: Told, one_browser: Page) -> Iterator[Page]:
    """A page. At its end nothing was complained about, and nothing but the file was asked for."""
    one_browser.forget()
    yield one_browser
    assert one_browser.errors == []
    assert set(one_browser.requests) <= {told.path.resolve().as_uri()}


def test_the_page_of_everything_is_one_file_of_less_than_one_and_a_half_megabytes(told: Told) -> None:
    assert told.path.stat().st_size < 1_500_000


def focus(page: Page, selector: str) -> None:
    page.ask(f"document.querySelector({json.dumps(selector)}).focus()")


def test_without_scripts_every_row_of_the_json_is_to_be_read(told: Told, page: Page) -> None:
    page.open(told.path, scripts=False)
    words = " ".join(page.ask("document.body.innerText").split())
    assert not page.ask("document.querySelector('.tools').checkVisibility()")
    for result in told.results:
        for row in result["rows"]:
            assert f"{row['name']} {row['mode']}".strip() in words
            assert row["group"] in words
        for cell in result["cells"]:
            assert cell["row"] in words
            for where in cell["hung"]:
                assert where in words


def test_the_theme_is_switched_by_mouse_and_by_keyboard(told: Told, page: Page) -> None:
    page.open(told.path)
    ground = "getComputedStyle(document.body).backgroundColor"
    first = page.ask(ground)
    page.click("#theme")
    second = page.ask(ground)
    focus(page, "#theme")
    page.press(*SPACE)
    assert first != second
    assert page.ask(ground) == first


def test_a_column_is_sorted_by_mouse_and_by_keyboard(told: Told, page: Page) -> None:
    page.open(told.path)
    head = "table.figures th[data-sortable].right"
    values = (
        f"(() => {{ const heads = [...document.querySelectorAll({head!r})];"
        " const h = heads.find(h => h.innerText.includes('goodput'));"
        " const at = [...h.parentNode.children].indexOf(h); h.id = 'sorted';"
        " return [...h.closest('table').tBodies].map(b => [...b.querySelectorAll('tr[data-row]')]"
        ".map(r => Number(r.children[at].dataset.value))); })()"
    )
    groups: list[list[float]] = page.ask(values)
    assert any(len(group) > 1 for group in groups)
    page.click("#sorted button")
    assert page.ask(values) == [sorted(group) for group in groups]
    focus(page, "#sorted button")
    page.press(*ENTER)
    assert page.ask(values) == [sorted(group, reverse=True) for group in groups]
    assert page.ask("document.getElementById('sorted').getAttribute('aria-sort')") == "descending"


def test_the_filter_leaves_the_rows_that_it_names(told: Told, page: Page) -> None:
    page.open(told.path)
    shown = "[...document.querySelectorAll('table.figures tr[data-row]')].filter(r => r.checkVisibility())"
    assert page.ask(f"{shown}.length") > 3
    focus(page, "#filter")
    page.type("manager")
    left = set(page.ask(f"{shown}.map(r => r.dataset.row.split(' ')[0])"))
    assert left >= {"manager-queue", "manager-dict"}
    assert all("manager" in name for name in left)
    assert page.ask("document.querySelectorAll('svg .row.faded').length") > 0


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_cell_of_the_fault_matrix_opens_its_evidence(told: Told, page: Page, by: str) -> None:
    page.open(told.path)
    cell = ".matrix td a"
    target = page.ask(f"document.querySelector('{cell}').getAttribute('href').slice(1)")
    opened = f"document.getElementById('{target}').open"
    assert page.ask(opened) is False
    if by == "mouse":
        page.click(cell)
    else:
        focus(page, cell)
        page.press(*ENTER)
    page.ask("new Promise(done => setTimeout(done, 50))")
    assert page.ask(opened) is True
    assert page.ask(f"document.activeElement.parentNode.id === '{target}'")


def test_every_button_link_and_field_is_reached_by_the_tab_key(told: Told, page: Page) -> None:
    page.open(told.path)
    many = page.ask(
        "[...document.querySelectorAll('a[href], button, input, summary')]"
        ".filter(e => e.checkVisibility()).length"
    )
    reached: set[str] = set()
    page.ask("document.querySelectorAll('*').forEach((e, n) => e.dataset.n = n); document.body.focus()")
    for _ in range(many * 3):
        page.press(*TAB)
        here: Any = page.ask(
            "(e => e.matches('a, button, input, summary') ? e.dataset.n : '')(document.activeElement)"
        )
        if here in reached and len(reached) == many:
            break
        reached |= {here} - {""}
    assert len(reached) == many


@pytest.mark.parametrize(("dark", "width"), [(False, 1400), (True, 400)])
def test_axe_finds_no_serious_fault(told: Told, page: Page, dark: bool, width: int) -> None:
    page.open(told.path, width=width)
    # Some of each kind: hundreds of exhibits have the same markup.
    page.ask(
        "[...document.querySelectorAll('details')].filter((d, n) => n % 25 == 0 || n < 9)"
        ".forEach(d => d.open = true)"
    )
    if dark:
        page.ask("document.documentElement.dataset.theme = 'dark'")
    page.ask(f"{AXE.read_text(encoding='utf-8')}; 0")
    found = page.ask(
        "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations"
        ".filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary)]))"
    )
    assert found == []


@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_is_wider_than_the_window(told: Told, page: Page, width: int) -> None:
    page.open(told.path, width=width)
    assert page.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1400, 400])
def test_no_two_texts_of_a_picture_lie_over_each_other_and_none_is_cut_off(
    told: Told, page: Page, width: int
) -> None:
    page.open(told.path, width=width)
    clashes = page.ask(
        "[...document.querySelectorAll('svg.chart')].filter(s => s.checkVisibility()).flatMap(s => {"
        " const edge = s.getBoundingClientRect();"
        " const boxes = [...s.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);"
        " const out = boxes.filter(([w, b]) => b.right > edge.right + 1 || b.left < edge.left - 1)"
        "  .map(([w]) => 'cut off: ' + w);"
        " const over = boxes.flatMap(([w, b], i) => boxes.slice(i + 1).filter(([v, c]) =>"
        "  Math.min(b.right, c.right) - Math.max(b.left, c.left) > 1.5 &&"
        "  Math.min(b.bottom, c.bottom) - Math.max(b.top, c.top) > 5).map(([v]) => w + ' over ' + v));"
        " return [...out, ...over]; })"
    )
    assert clashes == []
