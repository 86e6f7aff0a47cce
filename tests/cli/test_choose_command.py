"""``ipclab choose`` on stored runs, and what it measures where they lack something."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import msgspec
import pytest

from ipclab.environment import machine
from tests.support.program import PROGRAM, TIMEOUT_S, Ipclab
from tests.support.records import Make

MAKE = Make()
LOAD = ("--rate", "300", "--size", "2KiB", "--consumers", "3", "--p99", "50ms")


def store(here: Path, samples_ns: list[int]) -> None:
    """Store a run of this machine whose jobs in a queue took this long."""
    spec = {"size_bytes": 2048, "consumers": 3}
    idle = msgspec.structs.replace(MAKE.cost(), others_cores=0.0)
    result = MAKE.result([MAKE.paced("queue", samples_ns, rate=300, spec=spec, cost=idle)])
    processor, cores, memory_bytes = machine()
    environment = msgspec.structs.replace(
        result.environment, processor=processor, cores=cores, memory_bytes=memory_bytes
    )
    result = msgspec.structs.replace(result, environment=environment)
    folder = here / "results" / "latency" / "20260101T000000Z"
    folder.mkdir(parents=True)
    (folder / "result.json").write_bytes(msgspec.json.encode(result))


def test_a_stored_row_decides_and_the_program_is_shown(ipclab: Ipclab, here: Path) -> None:
    store(here, [1_000_000 + place * 10_000 for place in range(2000)])
    ended = ipclab("choose", "-b", "queue", "-b", "pipe", *LOAD, "--format", "json")
    assert ended.code == 0, ended.err
    read = json.loads(ended.out)
    (fit,) = read["fits"]
    assert (fit["backend"], fit["load"]["run"]) == ("queue", "latency/20260101T000000Z")
    assert [(one["backend"], one["constraint"]) for one in read["rejected"]] == [("pipe", "consumers")]
    assert "multiprocessing.Queue()" in read["program"]


def test_a_limit_that_a_stored_row_missed_rules_out_and_code_3(ipclab: Ipclab, here: Path) -> None:
    store(here, [1_000_000 + place * 100_000 for place in range(2000)])
    ended = ipclab("choose", "-b", "queue", *LOAD, "--language", "zh")
    assert ended.code == 3
    assert "没有已知合适的后端" in ended.out
    assert "的作业超过了 50 ms" in ended.out


def test_what_no_run_has_is_offered_by_a_command_and_not_measured_unasked(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("choose", "-b", "queue", *LOAD)
    assert ended.code == 3
    assert "no run has this load: measure it?" in ended.out
    assert "ipclab run latency --backend queue" in " ".join(ended.out.split())
    assert not (here / "results").exists()


@pytest.mark.slow
def test_what_is_missing_is_measured_when_asked_for(ipclab: Ipclab, here: Path) -> None:
    asked = ("-b", "queue", "--rate", "300", "--size", "2KiB", "--servers", "none")
    ended = ipclab("choose", *asked, "--measure", "--format", "json")
    read = json.loads(ended.out)
    assert len(list((here / "results" / "latency").iterdir())) == 1
    # A busy machine may leave it open; what was measured is what was asked for, whatever came out.
    loads = [one["load"] for one in read["fits"]]
    assert loads or read["open"] or read["rejected"]
    assert all((load["rate_per_s"], load["size_bytes"]) == (300, 2048) for load in loads)


def test_without_options_and_without_a_terminal_it_says_what_to_do(ipclab: Ipclab) -> None:
    ended = ipclab("choose")
    assert (ended.code, ended.out) == (2, "")
    assert "say what you need" in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--p99", "50ms"), "needs a rate"),
        (("--rate", "5"), "needs the size"),
        (("--servers", "reddis"), "did you mean redis"),
        (("-b", "value", "--hosts", "1"), "value carries no jobs: name channels"),
        (("--p99", "50", "--rate", "5"), "is not a duration"),
    ],
)
def test_needs_that_make_no_sense_are_refused(ipclab: Ipclab, options: tuple[str, ...], said: str) -> None:
    ended = ipclab("choose", *options)
    assert ended.code == 2
    assert said in ended.err


def test_on_a_terminal_it_asks_what_matters_and_decides_by_the_answers(
    here: Path, environ: dict[str, str]
) -> None:
    here.mkdir(exist_ok=True)
    ours, theirs = pty.openpty()
    # May: lose, repeat, reorder. Survive: consumer, producer, broker, reboot. Hosts, servers, producers,
    # workers, rate.
    os.write(ours, b"y\ny\ny\nn\nn\nn\nn\n1\nnone\n1\n3\n0\n")
    with subprocess.Popen(
        [PROGRAM, "choose", "--format", "json"],
        cwd=here,
        env=environ,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        os.close(theirs)
        out, err = program.communicate(timeout=TIMEOUT_S)
    os.close(ours)
    assert program.returncode == 0, err.decode()
    read = json.loads(out)
    assert sorted(read["needs"]["may"]) == ["lose", "reorder", "repeat"]
    assert (read["needs"]["servers"], read["needs"]["consumers"], read["needs"]["rate_per_s"]) == (
        [],
        3,
        None,
    )
    assert "queue" in [fit["backend"] for fit in read["fits"]]
    assert {one["constraint"] for one in read["rejected"]} == {"servers", "consumers", "fan-out"}
    assert "May a job be lost?" in err.decode()
