"""The pages about the claims say what the claims say, from runs that are kept beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipclab.claims import catalogue
from ipclab.claims.keep import read
from ipclab.claims.outcome import Run
from ipclab.claims.page import make_pages
from ipclab.claims.words import VERDICTS
from tests.support.documents import CHECKOUT

DOCS = CHECKOUT / "docs"
KEPT = sorted((DOCS / "claims").glob("*.json"))
CLAIMS = catalogue.load_all()
AGAIN = (
    "ipclab claims --from docs/claims/3.11.json --from docs/claims/3.12.json "
    "--from docs/claims/3.13.json --from docs/claims/3.14.json --docs docs"
)


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [read(path) for path in KEPT]


def test_the_versions_that_the_package_supports_are_there(runs: list[Run]) -> None:
    versions = [".".join(run.conditions.python.split(".")[:2]) for run in runs]
    assert [path.stem for path in KEPT] == versions == ["3.11", "3.12", "3.13", "3.14"]


def test_every_claim_was_run_and_had_the_recorded_verdict(runs: list[Run]) -> None:
    for run in runs:
        assert [outcome.name for outcome in run.outcomes] == list(CLAIMS)
        for outcome in run.outcomes:
            assert outcome.verdict is not None
            assert outcome.verdict.kind == CLAIMS[outcome.name].recorded["linux"]


@pytest.mark.parametrize("name", ["claims.md", "claims.zh.md"])
def test_the_page_is_what_the_claims_make_of_the_kept_runs(name: str, runs: list[Run]) -> None:
    assert (DOCS / name).read_text() == make_pages(runs, CLAIMS)[name], f"write it again: {AGAIN}"


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_on_both_pages(name: str) -> None:
    claim = CLAIMS[name]
    english, chinese = ((DOCS / page).read_text() for page in ("claims.md", "claims.zh.md"))
    assert f"### {claim.number}. {claim.statement.en}\n" in english
    assert f"### {claim.number}. {claim.statement.zh}\n" in chinese
    kind = VERDICTS[claim.recorded["linux"]]
    assert re.search(rf"\| {claim.number} \| \[{re.escape(claim.statement.en)}\].*\*\*{kind.en}\*\*", english)
    assert re.search(rf"\| {claim.number} \| \[{re.escape(claim.statement.zh)}\].*\*\*{kind.zh}\*\*", chinese)


@pytest.mark.parametrize("path", [*KEPT, DOCS / "claims.md", DOCS / "claims.zh.md"], ids=lambda p: p.name)
def test_nothing_of_the_machine_is_told(path: Path) -> None:
    assert not re.search(r"/home/|/roo[t]/|/tmp/|/usr/|127\.0\.0\.1:\d|password", path.read_text())
