"""Stdout and stderr that are closed, that nobody reads, or that cannot say everything: the run goes on to its
end, and its exit code is that of what it found."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ipclab.claims import catalogue
from ipclab.claims.outcome import Measured, conditions, new_run, settle
from ipclab.cli.progress import TerminalProgress
from ipclab.report.json import Report
from ipclab.results.store import Store, read
from tests.support.program import ONE_TRIAL, PROGRAM, TIMEOUT_S, Ended, Ipclab, with_option

LOSSY = ("run", "latency", "--backend", "lossy", "--rate", "100", "--duration", "0.1", "--warmup", "0")
STALE = (
    {"ipclab_history": 1, "model": "register"},
    {"process": 1, "type": "invoke", "f": "write", "value": 1, "time": 1000},
    {"process": 1, "type": "ok", "f": "write", "value": 1, "time": 2000},
    {"process": 2, "type": "invoke", "f": "read", "time": 3000},
    {"process": 2, "type": "ok", "f": "read", "value": None, "time": 4000},
)


def a_failed_claim(here: Path, reason: str) -> str:
    """The file of a run of claims in which one failed."""
    (name, claim), *_ = catalogue.find(["data_isolation"]).items()
    failed = settle(name, claim, Measured(failure=reason))
    run = new_run(conditions({}), [failed], datetime.datetime.now(datetime.UTC).isoformat())
    (here / "run.json").write_bytes(msgspec.json.encode(run))
    return "run.json"


@pytest.fixture(autouse=True)
def _folder(here: Path, ipclab: Ipclab) -> None:
    assert here.is_dir()


@pytest.fixture
def unread() -> Iterator[int]:
    """The end of a pipe that nobody reads any more."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield write_end
    os.close(write_end)


@pytest.fixture
def program(here: Path, environ: dict[str, str]) -> Callable[..., Ended]:
    """Runs the program, or a script of Python in its place, with these streams."""

    def run(*words: str, script: str = "", **settings: Any) -> Ended:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
        env = {**environ, **streams.pop("env", {})}
        start = [sys.executable, "-c", script] if script else [PROGRAM]
        ended = subprocess.run([*start, *words], cwd=here, env=env, timeout=TIMEOUT_S, **streams)
        out, err = ((data or b"").decode("utf-8", "replace") for data in (ended.stdout, ended.stderr))
        return Ended(ended.returncode, out, err)

    return run


Program = Callable[..., Ended]


def shell(*words: str, closing: str) -> list[str]:
    """A command of a shell that closes streams of the program."""
    return ["sh", "-c", f"exec {shlex.join([PROGRAM, *words])} {closing}"]


# Nobody reads stderr.


def test_a_run_whose_words_nobody_reads_goes_on_to_its_end(program: Program, unread: int, here: Path) -> None:
    ended = program(*with_option(ONE_TRIAL, "--repeats", "3"), stderr=unread)
    assert ended.code == 0
    assert ended.out.startswith("round_trip: ")
    kept = Store(here / "results").load("latest")
    assert kept.complete
    assert len(kept.trials) == 3


def test_1_a_broken_guarantee_counts_though_nobody_reads_the_words(
    program: Program, unread: int, bad_backends: dict[str, str]
) -> None:
    ended = program(*LOSSY, "--repeats", "1", stderr=unread, env=bad_backends)
    assert ended.code == 1
    assert "lost 1 confirmed message" in ended.out


def test_3_an_unknown_verdict_counts_though_nobody_reads_the_words(
    program: Program, unread: int, bad_backends: dict[str, str]
) -> None:
    words = (*ONE_TRIAL[:3], "failing", *ONE_TRIAL[4:])
    assert program(*words, stderr=unread, stdout=unread, env=bad_backends).code == 3


LOSES_A_BROKER = """
import sys
from ipclab import cli, lab
whole = lab.run
def run(*arguments, **settings):
    outcome = whole(*arguments, **settings)
    outcome.lost_brokers["redis"] = "Redis went away"
    return outcome
lab.run = run
cli.main(sys.argv[1:])
"""


def test_4_a_broker_that_was_lost_counts_though_nobody_reads_the_words(program: Program, unread: int) -> None:
    assert program(*ONE_TRIAL, script=LOSES_A_BROKER, stderr=unread).code == 4


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
def test_2_an_error_has_its_exit_code_though_nobody_reads_of_it(
    program: Program, unread: int, debug: tuple[str, ...]
) -> None:
    assert program(*debug, "run", "latencey", stderr=unread).code == 2


INTERRUPTED = """
import os, sys
from ipclab import cli, lab
def run(*arguments, **settings):
    raise KeyboardInterrupt
lab.run = run
cli.main(sys.argv[1:])
"""


def test_130_an_interruption_that_ended_the_reader_too_is_one(program: Program, unread: int) -> None:
    assert program(*ONE_TRIAL, script=INTERRUPTED, stderr=unread).code == 130


def test_a_bar_on_a_terminal_that_is_gone_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

        def fileno(self) -> int:
            raise OSError

    monkeypatch.setattr(sys, "stderr", Gone())
    with TerminalProgress() as progress:
        progress.note("a broker is started")


# Nobody reads stdout.


def test_1_an_invalid_history_is_invalid_though_nobody_reads_why(
    program: Program, unread: int, here: Path
) -> None:
    (here / "stale.jsonl").write_text("".join(json.dumps(line) + "\n" for line in STALE))
    assert program("check", "stale.jsonl", stdout=unread).code == 1


def test_1_a_claim_that_failed_counts_though_nobody_reads_of_it(
    program: Program, unread: int, here: Path
) -> None:
    file = a_failed_claim(here, "it failed")
    assert program("claims", "--from", file, stdout=unread, stderr=unread).code == 1


@pytest.mark.parametrize("words", ["--help", "run --help", "--version", "list", "backends"])
def test_0_a_command_without_a_verdict_ends_well_when_its_reader_has_seen_enough(
    program: Program, unread: int, words: str
) -> None:
    ended = program(*words.split(), stdout=unread)
    assert (ended.code, ended.err) == (0, "")


BREAKS_A_PIPE = """
import sys
from ipclab import cli, lab
def run(*arguments, **settings):
    raise BrokenPipeError(32, "Broken pipe")
lab.run = run
cli.main(sys.argv[1:])
"""


def test_1_a_pipe_that_breaks_within_a_run_is_not_taken_for_a_reader(program: Program) -> None:
    ended = program(*ONE_TRIAL, script=BREAKS_A_PIPE)
    assert ended.code == 1
    assert "Broken pipe" in ended.line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without space")
def test_2_a_full_disk_behind_stdout_is_one_clear_line(program: Program) -> None:
    with Path("/dev/full").open("w") as full:
        ended = program("list", stdout=full)
    assert (ended.code, ended.line) == (2, "ipclab: cannot write to stdout: No space left on device")


# Streams that are closed.


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [ONE_TRIAL, ("list",)], ids=["run", "list"])
def test_0_a_command_does_its_work_with_streams_that_are_closed(
    here: Path, environ: dict[str, str], words: tuple[str, ...], closing: str
) -> None:
    ended = subprocess.run(
        shell(*words, closing=closing),
        cwd=here,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0
    assert "Error" not in ended.stdout + ended.stderr
    if words == ONE_TRIAL:
        assert Store(here / "results").load("latest").complete


def test_the_table_is_still_printed_where_stderr_is_closed(here: Path, environ: dict[str, str]) -> None:
    ended = subprocess.run(
        shell(*ONE_TRIAL, closing="2>&-"),
        cwd=here,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.stdout.startswith("round_trip: ")


TAKES_A_FILE = """
import os
from ipclab.cli.streams import prepare
prepare()
print(os.open(os.devnull, os.O_RDONLY), file=open("number", "w"))
"""


def test_no_file_or_socket_takes_the_place_of_a_stream_that_is_closed(
    here: Path, environ: dict[str, str]
) -> None:
    # What a child writes to its stdout would go there.
    command = f"exec {shlex.join([sys.executable, '-c', TAKES_A_FILE])} <&- >&- 2>&-"
    subprocess.run(["sh", "-c", command], cwd=here, env=environ, check=True, timeout=TIMEOUT_S)
    assert int((here / "number").read_text()) > 2


# Encodings that lack characters.


@pytest.mark.parametrize(
    ("command", "encoding"),
    [("show", "latin-1"), ("show", "cp1252"), ("show", "gbk"), ("backends", "latin-1")],
)
def test_what_an_encoding_lacks_is_replaced(
    program: Program, stored: None, command: str, encoding: str
) -> None:
    ended = program(command, env={"PYTHONIOENCODING": encoding})
    assert (ended.code, ended.err) == (0, "")
    assert "?" in ended.out


def test_json_is_utf_8_whatever_the_encoding_of_stdout(program: Program, stored: None, here: Path) -> None:
    kept = (here / "results" / "latest" / "result.json").read_text(encoding="utf-8")
    (here / "other.json").write_text(kept.replace("How long", "多久 1→1 é"), encoding="utf-8")
    ended = program("show", "other.json", "--format", "json", env={"PYTHONIOENCODING": "latin-1"})
    assert msgspec.json.decode(ended.out, type=Report).question.startswith("多久 1→1 é")


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python would write files in ASCII."""


@pytest.mark.parametrize("format_", ["table", "json", "csv", "md"])
def test_a_file_is_written_in_utf_8_whatever_the_locale(
    program: Program, ipclab: Ipclab, stored: None, here: Path, format_: str
) -> None:
    ended = program("show", "--format", format_, "-o", "out", env=C_LOCALE)
    assert (ended.code, ended.err) == (0, "")
    assert (here / "out").read_text(encoding="utf-8") == ipclab("show", "--format", format_).out
    if format_ == "json":
        assert read(here / "out").complete


def test_claims_are_written_in_utf_8_whatever_the_locale(program: Program, here: Path) -> None:
    ended = program(
        "claims", "--from", a_failed_claim(here, "没有"), "--language", "zh", "-o", "out", env=C_LOCALE
    )
    assert ended.code == 1
    assert "没有" in (here / "out").read_text(encoding="utf-8")
