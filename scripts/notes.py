"""Print the section of a version in CHANGELOG.md, for the release: ``python scripts/notes.py 0.1.0``.

Exits with 1 and a line on stderr where there is no such section, where it has no date, or where the version
is not the one of the package.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"^## \[(?P<version>[\w.]+)\](?: - (?P<date>\S+))?$", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def packaged() -> str:
    """Return the version of the package, from the one place that has it."""
    text = (ROOT / "src" / "ipclab" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def section(changelog: str, version: str) -> str:
    """Return what changed in this version. Raise ValueError where that is not written, or has no date."""
    headings = list(HEADING.finditer(changelog))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading["version"] == version:
            if not _DATE.fullmatch(heading["date"] or ""):
                raise ValueError(f"version {version} has no date in CHANGELOG.md")
            return changelog[heading.end() : following.start() if following else None].strip() + "\n"
    raise ValueError(f"CHANGELOG.md has no section for version {version}")


def main(version: str) -> int:
    """Print the section; return the exit code."""
    try:
        if version != packaged():
            raise ValueError(f"the tag is of version {version}, and the package of {packaged()}")
        sys.stdout.write(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].removeprefix("v")))
