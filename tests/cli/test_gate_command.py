"""``ipclab gate`` with real, short runs. No figure decides a test: what decides is broken, missing or too
few."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.program import Ipclab

ONE = ("throughput", "-b", "pipe", "--size", "64", "--duration", "0.2", "--warmup", "0.05", "--repeats", "1")
LOSSY = ("throughput", "-b", "lossy", "--producers", "1", "--consumers", "1", *ONE[3:])


def test_a_limit_that_cannot_be_reached_passes_and_one_that_can_fails(ipclab: Ipclab) -> None:
    six = (*ONE[:-1], "6")
    assert ipclab("gate", *six, "--fail-if", "goodput < 1/s", "--fail-if", "lost > 0").code == 0
    ended = ipclab("gate", *six, "--fail-if", "pipe: goodput < 900G/s")
    assert ended.code == 1
    assert "the limit pipe: goodput < 900G/s is broken" in ended.out


def test_a_limit_on_one_repeat_is_undecided_and_may_be_allowed(ipclab: Ipclab) -> None:
    limit = ("--fail-if", "goodput < 1/s")
    assert ipclab("gate", *ONE, *limit).code == 3
    assert ipclab("gate", *ONE, *limit, "--allow-undecided").code == 0


def test_a_baseline_grows_and_cannot_fail_on_speed_before_it_has_five_runs(
    ipclab: Ipclab, here: Path
) -> None:
    first = ipclab("gate", *ONE, "--update-baseline", "--format", "json")
    assert first.code == 0
    assert json.loads(first.out)["notes"][-1] == "no baseline"
    second = ipclab("gate", *ONE, "--update-baseline", "--format", "json")
    assert (second.code, json.loads(second.out)["notes"][-1]) == (0, "few baselines")
    (file,) = (here / "baselines").glob("*/throughput.json")
    assert len(json.loads(file.read_text())["runs"]) == 2
    kept = json.loads(file.read_text())
    # Three more, as if they had been made: a file is what other machines and weeks have left.
    file.write_text(json.dumps({**kept, "runs": [*kept["runs"], *kept["runs"][:1] * 3]}))
    ipclab("gate", *ONE, "--update-baseline")
    assert len(json.loads(file.read_text())["runs"]) == 5
    ended = ipclab("gate", *ONE, "--baseline", "baselines")
    assert ended.code in (0, 1, 3)
    assert "A/A floors: from 5 stored runs" in ended.out


def test_a_guarantee_that_breaks_fails_even_without_a_baseline(
    ipclab: Ipclab, bad_backends: dict[str, str]
) -> None:
    ended = ipclab("gate", *LOSSY, "--baseline", "none", **bad_backends)
    assert ended.code == 1
    assert "lossy 1→1 64 B, verdict: lost 1 confirmed message" in ended.out


def test_two_versions_run_in_turns_and_both_are_kept(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("gate", *ONE[:-1], "2", "--against", sys.executable, "--format", "json")
    read = json.loads(ended.out)
    assert ended.code == 3
    (row,) = read["rows"]
    # On a busy machine, a repeat may have no figure for a metric.
    assert {one["why"] for one in row["metrics"]} <= {"too few repeats", "not measured"}
    assert "sequential" not in read["notes"]
    (folder,) = (here / "results" / "throughput").iterdir()
    for side in ("result.json", "against.json"):
        assert len(json.loads((folder / side).read_text())["trials"]) == 2
    again = ipclab("compare", f"{here}/results/throughput/{folder.name}/against.json", "latest")
    assert again.code == 3
    assert not list(Path(here).glob("ipclab-turns-*"))


def test_a_side_that_fails_is_told_in_one_line(ipclab: Ipclab, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *-m*) echo "no good" >&2; exit 9;; esac\nexec "{sys.executable}" "$@"\n'
    )
    broken.chmod(0o755)
    ended = ipclab("gate", *ONE, "--against", str(broken))
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == f"ipclab: a run of {broken} failed: no good"


def test_runs_of_the_same_version_tell_what_could_be_detected(ipclab: Ipclab) -> None:
    ended = ipclab("gate", *ONE, "--aa", "2")
    assert ended.code == 0
    assert "2 runs of the same version" in ended.out
    assert "pipe 1→1 64 B" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "there is nothing to gate by"),
        (("--aa", "2", "--against", "main"), "exclude one another"),
        (("--fail-if", "p99 > fast"), "is no limit"),
        (("--against", "no-such-thing"), "no git revision"),
        (("--baseline", "/dev/null"), "/dev/null is no folder"),
    ],
)
def test_what_cannot_be_gated_is_refused_before_anything_runs(
    ipclab: Ipclab, here: Path, words: tuple[str, ...], said: str
) -> None:
    ended = ipclab("gate", *ONE, *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.line
    assert not list(here.glob("results/*/*"))
