"""What a machine says of itself, and whether it can take part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ipclab import __version__
from ipclab.hosts import far_end
from ipclab.hosts.host import Facts, own_code

GOOD = msgspec.convert(far_end.facts(), type=Facts)


def test_this_machine_can_take_part() -> None:
    assert GOOD.version == __version__
    assert GOOD.misfit(1) == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": ""}, f"machine 2 has no ipclab: run there .* -m pip install ipclab=={__version__}"),
        ({"version": "0.0.9"}, "machine 2 has ipclab 0.0.9, and this one ipclab"),
        ({"missing": ["redis"]}, "machine 2 lacks redis: run there .* -m pip install redis"),
        ({"code": "other"}, "machine 2 has other code"),
    ],
)
def test_a_machine_that_does_not_fit_is_refused_with_the_command_that_helps(
    change: dict[str, Any], says: str
) -> None:
    import re

    found = msgspec.structs.replace(GOOD, **change).misfit(2)
    assert re.match(says, found)
    assert "\n" not in found


def test_the_digest_of_the_code_changes_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    before = far_end.code_of(tmp_path)
    (tmp_path / "a.py").write_text("x = 2")
    assert far_end.code_of(tmp_path) != before
    assert own_code() == own_code()
