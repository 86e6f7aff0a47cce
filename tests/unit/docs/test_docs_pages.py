"""The documents fit one another: links lead somewhere, both languages say the same, nothing is left out."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

import ipclab
from ipclab import experiment
from ipclab.brokers import kinds
from ipclab.report import columns
from ipclab.results import units, verdict
from ipclab.trial.record import Limit
from tests.support.documents import (
    BOTH,
    CHECKOUT,
    PAGES,
    README,
    README_ZH,
    anchor,
    blocks,
    code,
    commands,
    guide,
    headings,
    section,
    slots,
    tables,
    without_blocks,
    without_slots,
)

ENGLISH, CHINESE = guide(0), guide(1)
METHODOLOGY = (CHECKOUT / "docs" / "methodology.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if target.startswith("https://"):
            continue
        file, _, place = target.partition("#")
        found = page.parent / file if file else page
        assert found.exists(), target
        if place:
            assert place in [anchor(title) for _, title in headings(found.read_text())], target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_of_the_documentation_is_reached_from_the_index(page: Path) -> None:
    if page in (README, README_ZH, *BOTH[1]):
        return
    index = BOTH[1][page.name.endswith(".zh.md")]
    linked = re.findall(r"\]\(([^)#]+)", index.read_text())
    assert page in [(index.parent / link).resolve() for link in linked]


def test_both_readmes_lead_to_the_index() -> None:
    for readme, index in zip(BOTH[0], BOTH[1], strict=True):
        assert f"](docs/{index.name})" in readme.read_text()


def test_the_index_leads_on_by_reader() -> None:
    titles = [title for _, title in headings(BOTH[1][0].read_text())]
    assert {"Choosing", "Teaching", "CI", "Writing a backend", "Contributing"} <= set(titles)


@pytest.mark.parametrize("page", BOTH[0], ids=lambda page: page.name)
def test_a_readme_has_at_most_150_lines(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= 150


both = pytest.mark.parametrize(("english", "chinese"), BOTH, ids=lambda page: page.name)


@both
def test_both_languages_have_the_same_sections(english: Path, chinese: Path) -> None:
    def levels(page: Path) -> list[int]:
        return [level for level, _ in headings(without_slots(page.read_text()))]

    assert levels(chinese) == levels(english)


@both
def test_both_languages_have_the_same_commands(english: Path, chinese: Path) -> None:
    for language in ("sh", "console"):
        assert blocks(chinese.read_text(), language) == blocks(english.read_text(), language)


@both
def test_both_languages_have_the_same_tables(english: Path, chinese: Path) -> None:
    """The same rows in the same order, told by the pieces of code in their first cells."""

    def keys(page: Path) -> list[list[set[str]]]:
        return [[set(code(row[0])) for row in table] for table in tables(without_slots(page.read_text()))]

    assert keys(chinese) == keys(english)


@both
def test_both_languages_link_to_the_same_pages_and_pictures(english: Path, chinese: Path) -> None:
    def links(page: Path) -> list[str]:
        text = without_slots(page.read_text())
        found = [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r'(?:src|srcset)="([^"]+)"', text)]
        return [link.partition("#")[0].replace(".zh.md", ".md") for link in found]

    assert links(chinese) == links(english)


@both
def test_both_languages_show_the_same_measured_figures(english: Path, chinese: Path) -> None:
    left, right = slots(english.read_text()), slots(chinese.read_text())
    assert set(left) == set(right)
    for name in left:
        (one,), (other,) = (tables(text)[:1] for text in (left[name], right[name]))
        assert len(one) == len(other)
        if name != "needs":  # it stands in each in its own language; test_docs_figures.py has its figures
            assert left[name] == right[name]


def test_the_chinese_pages_are_in_chinese() -> None:
    prose = without_blocks(without_slots(CHINESE))
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 2000


def test_every_experiment_is_in_the_guide_with_its_question() -> None:
    (found,) = [t for t in tables(ENGLISH) if t[0][0] == "experiment"]
    asked = {code(row[0])[0]: row[1] for row in found[1:]}
    assert list(asked) == [experiment.DEFAULT, *[name for name in asked if name != experiment.DEFAULT]]
    assert set(asked) == set(experiment.names())
    for name, question in asked.items():
        known = experiment.load(name).question
        assert question.partition("?")[0] == known.partition("?")[0]


def test_every_experiment_is_in_the_methodology() -> None:
    (found,) = [t for t in tables(METHODOLOGY) if t[0][0] == "experiment"]
    assert {code(row[0])[0] for row in found[1:]} == set(experiment.names())


def test_every_column_of_the_results_table_is_explained() -> None:
    (found,) = [t for t in tables(ENGLISH) if t[0][0] == "column"]
    explained = set(re.findall(r"[\w.#±]+", " ".join(" ".join(row) for row in found)))
    known = [value for value in vars(columns).values() if isinstance(value, columns.Column)]
    for several in vars(columns).values():
        if isinstance(several, list):
            known += several
    assert len(known) > 20
    for column in known:
        name = column.full or column.header
        assert set(re.findall(r"[\w.#±]+", name)) <= explained, name


def test_every_verdict_is_explained() -> None:
    for page in (ENGLISH, CHINESE):
        found = next(t for t in tables(page) if [row[0] for row in t[1:2]] == ["`kept`"])
        assert {code(row[0])[0] for row in found[1:]} == set(typing.get_args(verdict.Word))


def test_every_limit_is_explained() -> None:
    (found,) = tables(section(METHODOLOGY, "Who was the limit"))
    assert {name for row in found[1:] for name in code(row[0])} == set(typing.get_args(Limit))
    (readme,) = [row for t in tables(ENGLISH) for row in t if row[0] == "limit"]
    assert set(typing.get_args(Limit)) - {"unknown"} <= set(code(readme[1]))


def test_every_mark_of_a_cell_is_explained() -> None:
    for page in (ENGLISH, CHINESE):
        cells = {mark for t in tables(page) for row in t for mark in code(row[0])}
        assert {units.NOT_APPLICABLE, units.WITHHELD, units.NOT_TOLD} <= cells


def test_every_variable_that_names_a_server_is_in_the_guide() -> None:
    for name in kinds.variables():
        assert f"`{name}`" in ENGLISH or f"export {name}=" in ENGLISH, name


def test_every_variable_that_moves_a_port_is_in_the_guide() -> None:
    for name in re.findall(r"\$\{(IPCLAB_\w+)", (CHECKOUT / "compose.yaml").read_text()):
        assert f"`{name}`" in ENGLISH, name


def test_every_target_of_make_that_the_guide_names_exists() -> None:
    targets = re.findall(r"^(\w+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    named = [line.split()[1] for line in commands(ENGLISH) if line.startswith("make ")]
    assert {"demo", "test"} <= set(named) <= set(targets)


def test_the_changelog_has_the_version_of_the_package() -> None:
    assert f"## [{ipclab.__version__}]" in (CHECKOUT / "CHANGELOG.md").read_text()
