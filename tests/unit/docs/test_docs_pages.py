"""The documents fit one another: links lead somewhere, the two READMEs say the same, nothing is left out."""

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
    CHECKOUT,
    PAGES,
    README,
    README_ZH,
    anchor,
    blocks,
    code,
    commands,
    headings,
    section,
    slots,
    tables,
    without_blocks,
    without_slots,
)

ENGLISH, CHINESE = README.read_text(), README_ZH.read_text()
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
def test_every_page_of_the_documentation_is_reached_from_the_readme(page: Path) -> None:
    assert page == README or re.search(rf"[(`]{re.escape(str(page.relative_to(CHECKOUT)))}[)`]", ENGLISH)


def test_both_readmes_have_the_same_sections() -> None:
    def levels(text: str) -> list[int]:
        return [level for level, _ in headings(without_slots(text))]

    assert levels(CHINESE) == levels(ENGLISH)


def test_both_readmes_have_the_same_commands() -> None:
    assert blocks(CHINESE, "sh") == blocks(ENGLISH, "sh")


def test_both_readmes_have_the_same_tables() -> None:
    """The same rows in the same order, told by the pieces of code in their first cells."""

    def keys(text: str) -> list[list[set[str]]]:
        found = [[set(code(row[0])) for row in table] for table in tables(without_slots(text))]
        assert len(found) > 5
        return found

    assert keys(CHINESE) == keys(ENGLISH)


def test_both_readmes_link_to_the_same_pages() -> None:
    def links(text: str) -> list[str]:
        found = re.findall(r"\]\(([^)]+)\)", without_slots(text))
        return [link.replace(".zh.md", ".md") for link in found if not link.startswith("README")]

    assert links(CHINESE) == links(ENGLISH)


def test_both_readmes_show_the_same_measured_figures() -> None:
    english, chinese = slots(ENGLISH), slots(CHINESE)
    assert set(english) == {"table", "overhead", "claims", "safety"}
    # The claims stand in each in its own language.
    assert len(tables(chinese.pop("claims"))[0]) == len(tables(english.pop("claims"))[0])
    assert chinese == english
    for figures in slots(ENGLISH).values():
        assert tables(figures)


def test_the_chinese_readme_is_in_chinese() -> None:
    prose = without_blocks(without_slots(CHINESE))
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 2000


def test_every_experiment_is_in_the_readme_with_its_question() -> None:
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


def test_every_variable_that_names_a_server_is_in_the_readme() -> None:
    for name in kinds.variables():
        assert f"`{name}`" in ENGLISH or f"export {name}=" in ENGLISH, name


def test_every_variable_that_moves_a_port_is_in_the_readme() -> None:
    for name in re.findall(r"\$\{(IPCLAB_\w+)", (CHECKOUT / "compose.yaml").read_text()):
        assert f"`{name}`" in ENGLISH, name


def test_every_target_of_make_that_the_readme_names_exists() -> None:
    targets = re.findall(r"^(\w+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    named = [line.split()[1] for line in commands(ENGLISH) if line.startswith("make ")]
    assert {"demo", "test"} <= set(named) <= set(targets)


def test_the_changelog_has_the_version_of_the_package() -> None:
    assert f"## [{ipclab.__version__}]" in (CHECKOUT / "CHANGELOG.md").read_text()
