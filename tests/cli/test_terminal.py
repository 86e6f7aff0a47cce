"""Progress and colour: on a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.program import ONE_TRIAL, PROGRAM, TIMEOUT_S, Ended, with_option

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|4[0-7]|9[0-7]|38|48)(?:;[0-9;]*)?m")
THREE_TRIALS = with_option(ONE_TRIAL, "--repeats", "3")


def on_terminal(where: str, here: Path, environ: dict[str, str], *arguments: str) -> Ended:
    """Runs the program with its stdout or its stderr on a terminal of 120 columns."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=here,
        env={**environ, "TERM": "xterm-256color", "COLUMNS": "120"},
        stdout=theirs if where == "out" else subprocess.PIPE,
        stderr=theirs if where == "err" else subprocess.PIPE,
    ) as program:
        os.close(theirs)
        shown = read_until_closed(ours)
        plain = program.stderr if where == "out" else program.stdout
        assert plain is not None
        rest = plain.read().decode()
    os.close(ours)
    return Ended(program.returncode, *((shown, rest) if where == "out" else (rest, shown)))


def read_until_closed(terminal: int) -> str:
    """Everything that is written to a terminal until the last writer has closed it."""
    parts = []
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        if not ready:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


@pytest.fixture(autouse=True)
def _folder(here: Path) -> None:
    here.mkdir()


def test_a_bar_counts_the_trials_on_a_terminal(here: Path, environ: dict[str, str]) -> None:
    ended = on_terminal("err", here, environ, *THREE_TRIALS)
    assert ended.code == 0
    for number in range(3):
        assert f"{number}/3" in ended.err
    assert "ping-pong pipe 1→1" in ended.err
    assert " s left" in ended.err
    assert "\x1b" not in ended.out
    assert COLOUR.search(ended.err)
    assert ended.out.startswith("round_trip: ")
    last = re.split(r"\x1b\[2K", ended.err)[-1]
    assert "kept in" in last, "the bar is gone when the run is over"
    assert "/3" not in last


def test_the_bar_has_no_colours_where_they_are_not_wanted(here: Path, environ: dict[str, str]) -> None:
    plain = on_terminal("err", here, {**environ, "NO_COLOR": "1"}, *THREE_TRIALS)
    assert not COLOUR.search(plain.err)
    assert "1/3" in plain.err


def test_the_table_has_colours_on_a_terminal_unless_they_are_not_wanted(
    here: Path, environ: dict[str, str]
) -> None:
    ended = on_terminal("out", here, environ, *ONE_TRIAL)
    assert COLOUR.search(ended.out)
    assert "\x1b" not in ended.err
    assert not COLOUR.search(on_terminal("out", here, {**environ, "NO_COLOR": "1"}, "show").out)


@pytest.mark.parametrize("command", ["list", "backends"])
def test_listings_have_no_colours_where_they_are_not_wanted(
    here: Path, environ: dict[str, str], command: str
) -> None:
    assert not COLOUR.search(on_terminal("out", here, {**environ, "NO_COLOR": "1"}, command).out)


def test_an_error_on_a_terminal_leaves_no_bar_behind(here: Path, environ: dict[str, str]) -> None:
    ended = on_terminal("err", here, environ, "run", "latencey")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
