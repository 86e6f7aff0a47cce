"""Gather the pages of the site in ``build/pages``, with a sample report: ``make site``.

The folder has what the repository has, so a link between two files is the same here and there. README.md is
the first page. A link to a folder, which a site cannot show, becomes the name of the folder.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "pages"
FOLDERS = ("docs", "experiments", "schemas", "benchmarks", "examples")
FILES = (
    *("README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "LICENSE"),
    *("compose.yaml", "Makefile", "constraints.txt", "pyproject.toml", "action.yml"),
)
_LINK = re.compile(r"(?<!!)\[([^\]\[]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
_SAMPLE = """# A sample report

[The report of two stored runs](sample.html), as `ipclab report` writes it: one file with pictures, readable
without a network. [The report](docs/report.md) explains its parts.

The claims of the study notes with their evidence are on [a page of their own](docs/claims.md)
([中文](docs/claims.zh.md)).
"""


def gather(pages: Path) -> None:
    """Write all pages but the sample report into this folder, which is replaced."""
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    for name in FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, pages / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, pages / name)
    shutil.copy(ROOT / "README.md", pages / "index.md")
    (pages / "sample-report.md").write_text(_SAMPLE, encoding="utf-8")
    for page in pages.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(_LINK.sub(partial(_link, page=page, pages=pages), text), encoding="utf-8")


def _link(found: re.Match[str], *, page: Path, pages: Path) -> str:
    """Return a link of a page as it is on the site."""
    label, target, anchor = found[1], found[2], found[3] or ""
    if not target or ":" in target:
        return found[0]
    path = (page.parent / target).resolve()
    if path == pages.resolve() / "README.md":
        return f"[{label}]({target.removesuffix('README.md')}index.md{anchor})"
    in_repository = ROOT / path.relative_to(pages.resolve())
    if path.is_dir() or (not path.exists() and in_repository.exists()):
        # What the site does not have: a folder, or a file of the repository that is no page.
        return label
    return found[0]


def main() -> None:
    """Gather the pages, and write the sample report."""
    gather(PAGES)
    runs = [str(ROOT / "docs" / "run" / name) for name in ("comparison", "throughput")]
    report = [sys.executable, "-m", "ipclab", "report", *runs, "-o", str(PAGES / "sample.html")]
    subprocess.run(report, check=True)


if __name__ == "__main__":
    main()
