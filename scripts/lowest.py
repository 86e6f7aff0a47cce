"""Print the lowest versions that ``pyproject.toml`` allows, as constraints for pip: ``make lowest``.

Without an argument those of the dependencies; each argument is an extra whose dependencies are printed too.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
_BOUND = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[\w,-]+\])?>=(?P<version>[\w.]+)")


def pins(extras: list[str]) -> list[str]:
    """Return a line such as ``click==8.1`` for each dependency. Raise ValueError for one without a bound."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    found = []
    for need in [*project["dependencies"], *(need for extra in extras for need in optional[extra])]:
        bound = _BOUND.fullmatch(need.partition(";")[0].strip())
        if bound is None:
            raise ValueError(f"{need} has no lower bound that could be tested")
        found.append(f"{bound['name']}=={bound['version']}")
    return found


if __name__ == "__main__":
    sys.stdout.write("\n".join(pins(sys.argv[1:])) + "\n")
