"""Every claim of the notes has its file, and every file says all that a reader needs."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from ipclab.claims import SECTIONS, Claim, catalogue
from ipclab.errors import UnknownNameError

CLAIMS = catalogue.load_all()
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PARTS = {
    "processes": range(1, 4),
    "locks": range(4, 7),
    "sharing": range(7, 15),
    "pools": range(15, 22),
    "threads": range(22, 27),
}


def each(name: str) -> Claim[Any]:
    return CLAIMS[name]


def test_every_claim_of_the_notes_has_a_file() -> None:
    assert {claim.number for claim in CLAIMS.values()} == set(range(1, 27))


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_has_the_claims_of_the_notes(section: str) -> None:
    assert {c.number for c in CLAIMS.values() if c.section == section} == set(PARTS[section])


@pytest.mark.parametrize("name", CLAIMS)
class TestEach:
    def test_its_file_is_not_called_like_a_module_of_python(self, name: str) -> None:
        assert name not in sys.stdlib_module_names

    def test_its_file_begins_with_its_number_and_is_short_enough_for_a_screen(self, name: str) -> None:
        text = catalogue.path(name).read_text()
        assert re.match(rf'"""{each(name).number}[.,] ', text)
        assert len(text.splitlines()) <= 320

    def test_its_file_is_a_program(self, name: str) -> None:
        ending = 'if __name__ == "__main__":\n    main_of_claim(CLAIM)\n'
        assert catalogue.path(name).read_text().endswith(ending)

    def test_it_is_said_in_both_languages(self, name: str) -> None:
        for text in (each(name).statement, each(name).practice):
            assert text.en.endswith(".")
            assert not CHINESE.search(text.en)
            assert text.zh.endswith("。")
            assert CHINESE.search(text.zh)

    def test_it_names_what_explains_it(self, name: str) -> None:
        assert each(name).sources
        for source in each(name).sources:
            assert source.title
            is_code = re.fullmatch(r"(Lib|Modules|Python|Objects)/[\w/]+\.(py|c|h)", source.where)
            assert source.where.startswith("https://") or is_code, source.where

    def test_it_cleans_the_servers_that_it_needs(self, name: str) -> None:
        assert (each(name).clean is not None) == bool(each(name).needs)

    def test_its_verdict_is_recorded(self, name: str) -> None:
        assert each(name).recorded["linux"] in ("holds", "refuted", "holds when")


def test_a_claim_is_found_by_name_and_by_number() -> None:
    assert list(catalogue.find(["6", "mutex"])) == ["mutex", "event"]


def test_a_number_finds_all_parts_of_its_claim() -> None:
    assert {claim.number for claim in catalogue.find(["21"]).values()} == {21}
    assert len(catalogue.find(["21"])) == len([c for c in CLAIMS.values() if c.number == 21])


def test_all_are_found_where_none_is_asked_for() -> None:
    assert catalogue.find([]) == CLAIMS


@pytest.mark.parametrize(("word", "near"), [("muttex", "mutex"), ("44", "4")])
def test_an_unknown_one_is_refused_with_the_nearest(word: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"no claim is called '{word}'; did you mean .*{near}"):
        catalogue.find([word])
