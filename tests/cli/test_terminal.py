"""Progress and colour: on a terminal, and nowhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.support.documents import CHECKOUT
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


def test_without_arguments_a_terminal_gets_three_lines_on_what_to_do_next(
    here: Path, environ: dict[str, str]
) -> None:
    ended = on_terminal("out", here, environ)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("ipclab ") for line in lines)


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_data_in_a_pipe_has_the_width_that_columns_says(
    here: Path, environ: dict[str, str], columns: str
) -> None:
    for arguments in (("backends",), ("list",), ("show", str(CHECKOUT / "docs" / "run" / "comparison"))):
        ended = subprocess.run(
            [PROGRAM, *arguments],
            cwd=here,
            env={**environ, "COLUMNS": columns},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert ended.returncode == 0
        assert max(map(len, ended.stdout.splitlines())) <= int(columns)


def test_data_in_a_pipe_has_the_width_of_the_terminal_that_it_is_read_on(
    here: Path, environ: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 72, 0, 0))
    ended = subprocess.run(
        [PROGRAM, "backends"], cwd=here, env=environ, stdout=subprocess.PIPE, stderr=theirs, timeout=TIMEOUT_S
    )
    os.close(theirs)
    os.close(ours)
    assert 60 < max(map(len, ended.stdout.decode().splitlines())) <= 72


def test_no_word_of_the_backends_is_broken_at_80_columns(here: Path, environ: dict[str, str]) -> None:
    def pieces(columns: int) -> set[str]:
        ended = subprocess.run(
            [PROGRAM, "backends"],
            cwd=here,
            env={**environ, "COLUMNS": str(columns)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return {piece for word in ended.stdout.split() for piece in re.split(r"(?<=[-=])", word)} - {""}

    assert pieces(80) == pieces(400)
