"""Baselines: the last five runs of a kind of machine, and how far they lie apart."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ipclab.compare import baselines
from ipclab.compare.calibration import calibrate
from ipclab.compare.comparison import compare
from ipclab.errors import ResultsError
from tests.support.digests import environment, row, run, sample


def stored(seed: int, level: float = 100.0) -> baselines.Digest:
    return run(row("pipe", {"cpu": sample(seed, 0.03, level=level)}))


def test_the_last_five_runs_are_kept_in_their_order(tmp_path: Path) -> None:
    place = baselines.place(tmp_path, environment(), "throughput")
    for seed in range(7):
        baselines.update(place, [stored(seed)])
    found = baselines.read(place)
    assert found is not None
    assert found.runs == [stored(seed) for seed in range(2, 7)]
    assert found.enough


def test_a_baseline_lies_in_a_folder_of_its_kind_of_machine() -> None:
    place = baselines.place(Path("b"), environment(), "throughput")
    assert place == Path("b/some-cpu-2-ghz-2-cores/throughput.json")


def test_a_baseline_of_18_rows_is_about_20_kb_a_run(tmp_path: Path) -> None:
    names = [f"backend-{i}:ack=manual,confirm=publisher" for i in range(18)]
    values = {name: sample(1, 0.1) for name in ("cpu", "goodput", "p50", "p99")}
    place = tmp_path / "x.json"
    baselines.update(place, [run(*(row(name, values) for name in names))])  # type: ignore[arg-type]
    assert place.stat().st_size < 30_000


def test_no_file_is_no_baseline(tmp_path: Path) -> None:
    assert baselines.read(tmp_path / "none.json") is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"ipclab_baseline": 99}', '{"ipclab_baseline": 1}'])
def test_what_is_no_baseline_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ResultsError) as refused:
        baselines.read(tmp_path / "x.json")
    assert "\n" not in str(refused.value)


def test_runs_under_other_conditions_are_replaced(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    baselines.update(place, [stored(1), stored(2)])
    other = run(row("pipe", {"cpu": sample(3, 0.03)}, of={"size_bytes": 64}))
    assert baselines.update(place, [other]).runs == [other]


def test_a_change_below_the_floor_of_the_stored_runs_is_not_claimed() -> None:
    levels = (100.0, 130.0, 110.0, 125.0, 105.0)
    runs = [stored(seed, level) for seed, level in enumerate(levels)]
    floors = baselines.floors(runs)
    (floor,) = floors.values()
    assert math.log(1.15) < floor < math.log(1.35)
    new = stored(9, 120.0)
    with_floor = compare(baselines.pooled(runs), new, floors=floors, floor_runs=5, old_runs=5)
    assert with_floor.rows[0].metrics[0].word != "worse"
    far = compare(baselines.pooled(runs), stored(9, 220.0), floors=floors, floor_runs=5, old_runs=5)
    assert far.exit_code == 1


def test_a_row_that_only_an_earlier_run_had_is_missing_too() -> None:
    runs = [run(row("pipe"), row("queue", verdict="hung")), run(row("pipe", verdict="unknown"))]
    whole = baselines.pooled(runs)
    assert [(one.key.backend, one.verdict) for one in whole.rows] == [("pipe", "unknown"), ("queue", "hung")]
    assert [one.row for one in compare(whole, run(row("pipe"))).missing] == ["queue 1→1 1 KiB"]


def test_a_calibration_tells_the_smallest_difference_of_each_row() -> None:
    found = calibrate([stored(seed) for seed in range(4)])
    (one,) = found.metrics
    assert (found.runs, found.comparisons, one.row, one.metric) == (4, 3, "pipe 1→1 1 KiB", "cpu")
    assert one.visible is not None
    assert 0.05 < one.visible < 0.25
    assert one.claims == 0
