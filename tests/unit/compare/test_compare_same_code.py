"""Stored runs of the same code on both sides, made by real gates on a busy machine: nothing is worse.

Each file has the digests of both sides of one ``ipclab gate --against`` an equal interpreter (see
``benchmarks/gate.py``), while other programs used one and a half of the two cores.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ipclab.compare import comparison
from ipclab.compare.baselines import floors, pooled
from ipclab.compare.digest import Digest

FILES = sorted((Path(__file__).parent / "same_code").glob("*.json"))


def sides(file: Path) -> list[Digest]:
    return msgspec.json.decode(file.read_bytes(), type=list[Digest])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_two_sides_in_turns_are_never_worse(file: Path) -> None:
    old, new = sides(file)
    for one, other in ((old, new), (new, old)):
        found = comparison.compare(one, other)
        assert not [m for row in found.rows for m in row.metrics if m.word in ("worse", "better")]
        assert found.exit_code != 1


def test_a_run_is_not_worse_than_five_stored_ones_with_their_floor() -> None:
    everything = [side for file in FILES for side in sides(file)]
    runs = [run for run in everything if run.rows[0].durations_s == everything[-1].rows[0].durations_s]
    assert len(runs) == 6
    for new in runs:
        others = [run for run in runs if run is not new]
        found = comparison.compare(pooled(others), new, floors=floors(others), floor_runs=5, old_runs=5)
        assert found.exit_code != 1


def test_the_same_sides_made_slower_by_a_half_are_worse() -> None:
    old, new = sides(FILES[-1])
    slow = [
        msgspec.structs.replace(row, values=row.values | {"cpu": [1.5 * cpu for cpu in row.values["cpu"]]})
        for row in new.rows
    ]
    assert comparison.compare(old, msgspec.structs.replace(new, rows=slow)).exit_code == 1
