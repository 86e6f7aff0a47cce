"""``ipclab check``: exit codes, output, pictures, and refusals in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Ipclab

VALID = [
    {"ipclab_history": 1, "model": "register"},
    {"process": 1, "type": "invoke", "f": "write", "value": 1, "time": 1000},
    {"process": 1, "type": "ok", "f": "write", "value": 1, "time": 2000},
    {"process": 2, "type": "invoke", "f": "read", "time": 3000},
    {"process": 2, "type": "ok", "f": "read", "value": 1, "time": 4000},
]
STALE = [*VALID[:-1], {**VALID[-1], "value": None}]


def kept(here: Path, lines: list[dict[str, Any]], name: str = "history.jsonl.gz") -> str:
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    (here / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return name


def hard() -> list[dict[str, Any]]:
    """Forty writes of three values at once, then two reads of different ones."""
    lines: list[dict[str, Any]] = [{"ipclab_history": 1, "model": "register"}]
    writes = [{"process": p, "f": "write", "value": p % 3} for p in range(40)]
    lines += [{**write, "type": "invoke", "time": 1} for write in writes]
    lines += [{**write, "type": "ok", "time": 100} for write in writes]
    for n in (0, 1):
        lines.append({"process": 50, "type": "invoke", "f": "read", "time": 200 + 2 * n})
        lines.append({"process": 50, "type": "ok", "f": "read", "value": n, "time": 201 + 2 * n})
    return lines


def test_0_a_valid_history(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, VALID))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "valid: register, 2 operations on 1 key; decided by zones\n"


def test_1_an_invalid_history_with_its_counterexample(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, STALE, "plain.jsonl"))
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("invalid: register")
    assert "found: stale-read 1" in ended.out
    assert "├ write 1 ─┤" in ended.out
    assert max(len(line) for line in ended.out.splitlines()) <= 120


def test_2_a_malformed_history_with_the_number_of_its_line(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, [*VALID, {"process": 3}]))
    assert (ended.code, ended.out) == (2, "")
    assert "history.jsonl.gz line 6: " in ended.line


@pytest.mark.parametrize(
    "arguments",
    [["none.jsonl"], [], ["h", "--model", "stack"], ["h", "--budget", "0"], ["h", "--model", "lock"]],
)
def test_2_what_cannot_be_done(ipclab: Ipclab, here: Path, arguments: list[str]) -> None:
    kept(here, VALID, "h")
    ended = ipclab("check", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.line.startswith("ipclab: ")


def test_3_a_search_that_runs_out_of_time(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, hard()), "--budget", "0.05")
    assert ended.code == 3
    assert ended.out.startswith("unknown: register")
    assert "the search gave up" in ended.out


def test_the_verdict_for_machines(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, STALE), "--format", "json")
    found = json.loads(ended.out)
    assert (ended.code, found["verdict"], found["anomalies"]) == (1, "invalid", {"stale-read": 1})
    assert [op["f"] for op in found["counterexample"]["operations"]] == ["write", "read"]


def test_the_picture_is_one_file(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, STALE), "--html", "out.html")
    assert ended.code == 1
    text = (here / "out.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "<svg" in text
    assert sorted(path.name for path in here.iterdir()) == ["history.jsonl.gz", "out.html"]


def test_a_picture_that_cannot_be_written_is_refused(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab("check", kept(here, VALID), "--html", "no/such/folder.html")
    assert ended.code == 2
    assert "cannot write" in ended.err


@pytest.mark.parametrize(
    ("guarantee", "code"), [("at-most-once", 0), ("at-least-once", 1), ("exactly-once", 1)]
)
def test_a_queue_is_held_to_a_guarantee_as_a_delivery(
    ipclab: Ipclab, here: Path, guarantee: str, code: int
) -> None:
    lost = [
        {"ipclab_history": 1, "model": "queue"},
        {"process": 1, "type": "invoke", "f": "enqueue", "value": 1, "time": 1},
        {"process": 1, "type": "ok", "f": "enqueue", "value": 1, "time": 2},
    ]
    ended = ipclab("check", kept(here, lost), "--model", "delivery", "--guarantee", guarantee)
    assert ended.code == code
    assert "lost 1" in ended.out
