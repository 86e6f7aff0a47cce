"""The site: every page is in its navigation, and every link of a page leads somewhere, on the site too."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.documents import CHECKOUT, without_blocks

MADE = {"index.md", "sample-report.md"}
"""The pages that are not files of the repository."""


class _Loader(yaml.SafeLoader):
    """Reads the file without its tags that name functions."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def pages_of(nav: Any) -> Iterator[str]:
    """All files of a navigation."""
    for entry in nav:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            else:
                yield from pages_of(target)


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the site."""
    spec = importlib.util.spec_from_file_location("site_pages", CHECKOUT / "scripts" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    program: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    folder = tmp_path_factory.mktemp("site") / "pages"
    program.gather(folder)
    return folder


def test_every_page_is_in_the_navigation(gathered: Path) -> None:
    named = list(pages_of(yaml.load((CHECKOUT / "mkdocs.yml").read_text(), _Loader)["nav"]))
    assert len(named) == len(set(named))
    assert all((gathered / name).is_file() for name in named)
    pages = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "docs").glob("*.md")}
    assert pages - set(named) == set()
    assert set(named) >= MADE | {"SECURITY.md", "CHANGELOG.md", "README.zh.md"}


def test_every_link_of_a_page_leads_to_a_file_of_the_site(gathered: Path) -> None:
    broken = []
    for page in gathered.rglob("*.md"):
        text = without_blocks(page.read_text(encoding="utf-8"))
        targets = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text)
        broken += [
            f"{page.relative_to(gathered)}: {target}"
            for target in targets
            # The sample report is written when the site is built.
            if not (page.parent / target).is_file() and target != "sample.html"
        ]
    assert broken == []
