"""Figures and pictures of the pages come from the stored runs, and each choice fits its need."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Site
from ipclab.backends.registry import Variant
from tests.support.documents import BOTH, CHECKOUT, README, slots, tables

IMAGES = CHECKOUT / "docs" / "images"
SITE = Site(namespace="ipclab:docs")


@pytest.fixture(scope="module")
def fill() -> ModuleType:
    """The program that fills the pages."""
    spec = importlib.util.spec_from_file_location("fill_readme", CHECKOUT / "docs" / "fill_readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_of_the_pages_is_that_of_the_stored_runs(fill: ModuleType) -> None:
    pages = fill.pages()
    assert len(pages) == 4
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"run: python docs/fill_readme.py runs ({path.name})"


def test_every_picture_is_drawn_from_the_stored_run(fill: ModuleType, tmp_path: Path) -> None:
    fill.draw(tmp_path)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in IMAGES.glob("comparison-*.svg")}
    assert drawn.keys() == kept.keys()
    assert [name for name in drawn if drawn[name] != kept[name]] == [], "run: python docs/fill_readme.py runs"


@pytest.mark.parametrize("page", [page for pair in BOTH for page in pair], ids=lambda page: page.name)
def test_every_picture_of_a_page_is_there_for_light_and_for_dark(page: Path) -> None:
    for picture in re.findall(r"<picture>(.*?)</picture>", page.read_text(encoding="utf-8"), re.DOTALL):
        dark, light = re.findall(r'(?:src|srcset)="([^"]+)"', picture)
        assert (page.parent / dark).is_file()
        assert light == dark.replace("-dark.svg", "-light.svg")
        assert (page.parent / light).is_file()
        assert re.search(r'alt="[^"]{10,}"', picture)


def test_the_excerpt_has_at_most_40_lines_and_every_row_of_a_channel(fill: ModuleType) -> None:
    excerpt = slots(README.read_text(encoding="utf-8"))["excerpt"].strip()
    assert len(excerpt.splitlines()) <= 40
    (found,) = tables(excerpt)
    rows = [row for row in fill.table.ranked_rows(fill.stored()["comparison"]) if row.kind == "channel"]
    shown = [row[0] for row in found[1:] if not row[0].startswith("**")]
    assert shown == [f"{row.name} {row.mode}".rstrip() for row in rows]


def test_there_are_eight_needs_each_with_a_figure_and_a_cost() -> None:
    for page in BOTH[0]:
        (found,) = tables(slots(page.read_text(encoding="utf-8"))["needs"])
        assert len(found) == 1 + 8
        for _, take, figures, cost in found[1:]:
            assert re.search("`.+`", take)
            assert re.search(r"\d.*/s", figures)
            assert cost


def test_each_choice_declares_what_its_need_asks_for(fill: ModuleType) -> None:
    needs = {need.need.en: need.backend for need in fill.NEEDS}

    def declared(words: str) -> tuple[type, object]:
        (backend,) = [backend for need, backend in needs.items() if words in need]
        variant = Variant.parse(backend)
        kind = registry.channel_class(variant)
        return kind, kind(SITE, **variant.options).guarantees

    for words in ("worker is killed", "restart of the broker"):
        assert declared(words)[1].delivery == "at-least-once"  # type: ignore[attr-defined]
    assert declared("restart of the broker")[1].durability in ("disk", "quorum")  # type: ignore[attr-defined]
    assert declared("several hosts")[1].reach == "network"  # type: ignore[attr-defined]
    assert declared("fan-out")[1].fan_out  # type: ignore[attr-defined]
    kind, _ = declared("nothing to install")
    assert (kind.broker, kind.max_producers, kind.max_consumers) == (None, None, None)  # type: ignore[attr-defined]


def test_the_fastest_way_on_one_host_shares_the_first_rank(fill: ModuleType) -> None:
    (backend,) = [need.backend for need in fill.NEEDS if "fastest" in need.need.en]
    rows = fill.table.ranked_rows(fill.stored()["comparison"])
    (own,) = [row for row in rows if row.backend == backend and row.kind == "channel"]
    assert own.rank in ("1", "1=")
    assert own.goodput_per_s.median >= max(row.goodput_per_s.median for row in rows if row.goodput_per_s)


def test_no_killed_consumer_costs_the_choice_for_it_a_message(fill: ModuleType) -> None:
    (backend,) = [need.backend for need in fill.NEEDS if "worker is killed" in need.need.en]
    page = (CHECKOUT / "docs" / "safety-table.md").read_text(encoding="utf-8")
    section = page[page.index("## Faults of a consumer") :]
    (cell,) = [row[1] for table in tables(section) for row in table if row[0] == backend][:1]
    assert "lost" not in cell
    assert "hung" not in cell
