"""Imports go one way through the package: no arrow upwards, no circle; only ``cli`` and ``report`` print."""

from __future__ import annotations

from pathlib import Path

import pytest

import ipclab
from tests.support.import_rules import MAY_IMPORT, Rules, arrows, broken_rules

PACKAGE = Path(ipclab.__file__).parent
TOY = Rules(
    may_import={"errors": (), "low": (), "pure": (), "high": ("low", "pure.data"), "show": ("high",)},
    prints=frozenset({"show"}),
    root="toy",
)


def tree(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "toy"
    for name, text in {"__init__.py": "", "errors.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


def test_the_package_keeps_the_rules() -> None:
    assert broken_rules(PACKAGE, Rules()) == []


def test_every_room_has_rules_and_every_rule_a_room() -> None:
    rooms = {name.partition(".")[0] for name in arrows(PACKAGE, Rules())} - {""}
    assert rooms == set(MAY_IMPORT)


def test_the_rules_themselves_go_one_way() -> None:
    for room, allowed in MAY_IMPORT.items():
        for target in allowed:
            assert not any(one.partition(".")[0] == room for one in MAY_IMPORT[target.partition(".")[0]])


def test_checks_and_backends_never_meet() -> None:
    for one, other in (("checks", "backends"), ("backends", "checks")):
        assert not any(target.partition(".")[0] == other for target in MAY_IMPORT[one])


def test_a_tree_that_keeps_the_rules_has_nothing_to_say(tmp_path: Path) -> None:
    package = tree(
        tmp_path,
        {
            "low/__init__.py": "",
            "low/a.py": "from toy.errors import E\nfrom toy.low import b\n",
            "low/b.py": "import os\n",
            "pure/data.py": "",
            "high/__init__.py": "from toy.low.a import thing\nfrom ..pure import data\nfrom . import part\n",
            "high/part.py": "",
            "show.py": "import toy.high\nprint('shown')\n",
        },
    )
    assert broken_rules(package, TOY) == []


CIRCLE = {"low/a.py": "from . import b\n", "low/b.py": "from toy.low import a\n", "low/__init__.py": ""}
SINGLE = {"high.py": "from toy.pure.other import x\n", "pure/other.py": "", "pure/__init__.py": ""}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"low/a.py": "from toy.high import x\n", "high.py": ""}, "low.a -> high"),
        ({"low.py": "def f():\n    import toy.show\n", "show.py": ""}, "low -> show"),
        ({"low/a.py": "from ..pure import x\n", "pure.py": ""}, "low.a -> pure"),
        (SINGLE, "high -> pure.other"),
        (CIRCLE, "circle: low.a -> low.b"),
        ({"low.py": "print('psst')\n"}, "low prints"),
        ({"high.py": "import sys\nsys.stderr.write('psst')\n"}, "high prints"),
        ({"attic.py": ""}, "attic is in a room without rules"),
        ({"__init__.py": "from toy import errors\n"}, "the package itself imports errors"),
    ],
)
def test_a_broken_rule_is_told(tmp_path: Path, files: dict[str, str], says: str) -> None:
    assert broken_rules(tree(tmp_path, files), TOY) == [says]
