"""Data on stdout and nothing else there; in every format; the same again from the store."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

from ipclab import __version__
from ipclab.backends.registry import channel_names, counter_names
from ipclab.experiment import folder
from ipclab.report.json import Report
from ipclab.results.result import Result
from ipclab.results.store import read
from tests.support.program import ONE_TRIAL, PASSWORD, PROGRAM, SHORT, TIMEOUT_S, Ended, Ipclab, free_port

COMPARISON = ("run", "comparison", "--backend", "pipe", "--backend", "value", *SHORT)


def test_a_run_prints_its_table_and_says_on_stderr_where_it_is_kept(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab(*COMPARISON)
    assert ended.code == 0
    assert ended.out.startswith("comparison: How can my processes share state here")
    for name in ("pipe", "naive", "locked", "goodput", "verdict"):
        assert name in ended.out
    assert max(map(len, ended.out.splitlines())) <= 120
    assert "\x1b" not in ended.out + ended.err
    first, last, page = ended.err.splitlines()
    assert re.fullmatch(r"ipclab: 5 trials, about \d+ s", first)
    kept = here / last.removeprefix("ipclab: kept in ")
    assert {path.name for path in kept.iterdir()} == {"report.html", "result.json", "table.md"}
    assert (here / "results" / "latest").resolve() == kept
    assert here / page.removeprefix("ipclab: open it in a browser: ") == kept / "report.html"


def test_what_was_printed_can_be_shown_again_in_every_format(ipclab: Ipclab) -> None:
    table = ipclab(*COMPARISON).out
    assert ipclab("show", "latest").out == table
    assert ipclab("show").out == table
    assert ipclab("show", "comparison").out == table
    for format_ in ("json", "csv", "md"):
        ended = ipclab("show", "latest", "--format", format_)
        assert (ended.code, ended.err) == (0, "")
        check = {"json": is_a_result, "csv": is_a_csv_table, "md": is_a_markdown_table}[format_]
        check(ended.out)


def test_a_run_in_another_format_prints_that_and_nothing_else(ipclab: Ipclab) -> None:
    ended = ipclab(*ONE_TRIAL, "--format", "json")
    assert ended.code == 0
    assert msgspec.json.decode(ended.out, type=Report).experiment == "round_trip"
    assert ipclab("show", "latest", "--format", "json").out == ended.out
    assert all(line.startswith("ipclab: ") for line in ended.err.splitlines())


def is_a_result(text: str) -> None:
    report = msgspec.json.decode(text, type=Report)
    assert report.complete
    assert {str(trial.spec.backend) for trial in report.trials} == {
        "pipe",
        "pipe:discipline=owner",
        "value:discipline=naive",
        "value:discipline=locked",
    }
    jsonschema.validate(json.loads(text), msgspec.json.schema(Report))
    known = {name: getattr(report, name) for name in Result.__struct_fields__}
    assert msgspec.convert(msgspec.to_builtins(known), Result)


def is_a_csv_table(text: str) -> None:
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    assert {row["backend"].partition(":")[0] for row in rows} == {"pipe", "value"}
    assert all(None not in row and None not in row.values() for row in rows)


def is_a_markdown_table(text: str) -> None:
    widths = [line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(widths) > 4
    rules = [line for line in text.splitlines() if re.fullmatch(r"(\|\s*:?-+:?\s*)+\|", line)]
    assert rules
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({line.replace(r"\|", "").count("|") for line in table.splitlines()}) == 1


def test_the_output_goes_into_a_file_instead(ipclab: Ipclab, here: Path) -> None:
    ended = ipclab(*ONE_TRIAL, "--format", "json", "-o", "out.json")
    assert (ended.code, ended.out) == (0, "")
    assert read(here / "out.json").complete
    assert ipclab("show", "out.json", "--format", "json").out == (here / "out.json").read_text()


def test_a_run_by_the_experiments_own_file_is_the_same_run(environ: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(folder() / "round_trip.py"), *ONE_TRIAL[2:], "--format", "json"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0
    assert msgspec.json.decode(ended.stdout, type=Report).experiment == "round_trip"


def test_what_was_asked_for_is_kept_with_the_result(ipclab: Ipclab) -> None:
    report = msgspec.json.decode(
        ipclab(
            *ONE_TRIAL, "--seed", "7", "--size", "1KiB", "--start-method", "spawn", "--format", "json"
        ).out,
        type=Report,
    )
    assert report.options["seed"] == "7"
    assert report.options["backends"] == "pipe"
    assert report.environment.start_method == "spawn"
    (trial,) = report.trials
    assert (trial.spec.seed, trial.spec.size_bytes, trial.spec.start_method) == (7, 1024, "spawn")


def masked_everywhere(ended: Ended, here: Path, secret: str) -> bool:
    stored = [path.read_text() for path in here.rglob("*") if path.is_file()]
    return not any(secret in text for text in [ended.out, ended.err, *stored])


@pytest.mark.server
def test_a_wrong_password_is_exit_code_4_and_never_shown(
    ipclab: Ipclab, here: Path, locked_redis_port: int
) -> None:
    url = f"redis://:wr0ng-guess@127.0.0.1:{locked_redis_port}/0"
    ended = ipclab("run", "round_trip", "--backend", "redis-list", *SHORT, REDIS_URL=url)
    assert (ended.code, ended.out) == (4, "")
    assert f"redis://127.0.0.1:{locked_redis_port}/0" in ended.line
    assert "correct REDIS_URL" in ended.line
    assert masked_everywhere(ended, here, "wr0ng-guess")


@pytest.mark.server
def test_a_missing_password_is_exit_code_4_and_said_in_plain_words(
    ipclab: Ipclab, locked_redis_port: int
) -> None:
    url = f"redis://127.0.0.1:{locked_redis_port}/0"
    ended = ipclab("run", "race", "--backend", "redis:discipline=incr", *SHORT, REDIS_URL=url)
    assert ended.code == 4
    assert ended.line.endswith(f"Redis at {url} refuses the login: it requires a password; correct REDIS_URL")


@pytest.mark.server
def test_the_debug_flag_shows_no_password_either(ipclab: Ipclab, here: Path, locked_redis_port: int) -> None:
    url = f"redis://:wr0ng-guess@127.0.0.1:{locked_redis_port}/0"
    ended = ipclab("--debug", "run", "round_trip", "--backend", "redis-list", *SHORT, REDIS_URL=url)
    assert ended.code == 4
    assert "Traceback" in ended.err
    assert masked_everywhere(ended, here, "wr0ng-guess")


@pytest.mark.server
def test_a_right_password_is_never_shown_or_stored(
    ipclab: Ipclab, here: Path, tmp_path: Path, locked_redis_port: int
) -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{locked_redis_port}/0"
    ended = ipclab("run", "round_trip", "--backend", "redis-list", *SHORT, "--format", "json", REDIS_URL=url)
    assert ended.code == 0
    assert masked_everywhere(ended, tmp_path, PASSWORD)
    (broker,) = msgspec.json.decode(ended.out, type=Report).brokers
    assert (broker.provider, broker.url) == ("url", f"redis://127.0.0.1:{locked_redis_port}/0")
    status = ipclab("status", REDIS_URL=url)
    assert f"redis://127.0.0.1:{locked_redis_port}/0" in status.out
    assert masked_everywhere(status, tmp_path, PASSWORD)


def test_a_broker_that_nobody_asked_for_by_name_but_by_its_url_must_answer(ipclab: Ipclab) -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0"
    ended = ipclab("run", "comparison", "--backend", "redis", *SHORT, REDIS_URL=url)
    assert ended.code == 4
    assert PASSWORD not in ended.line


def test_an_error_shows_its_traceback_with_debug_only(ipclab: Ipclab) -> None:
    plain = ipclab("run", "latencey")
    before, after = ipclab("--debug", "run", "latencey"), ipclab("run", "latencey", "--debug")
    assert plain.line.startswith("ipclab: no experiment is called 'latencey'")
    for debugged in (before, after):
        assert debugged.code == plain.code == 2
        assert debugged.err.startswith("Traceback (most recent call last):")
        assert debugged.err.splitlines()[-1] == plain.line


@pytest.mark.parametrize("command", ["backends", "show", "list"])
def test_a_reader_that_goes_away_is_no_error(
    stored: None, environ: dict[str, str], here: Path, command: str
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        ended = subprocess.run(
            [PROGRAM, command],
            cwd=here,
            env=environ,
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
        )
    finally:
        os.close(write_end)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_reader_that_goes_away_does_not_hide_a_broken_guarantee(
    environ: dict[str, str], here: Path, ipclab: Ipclab, bad_backends: dict[str, str]
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        ended = subprocess.run(
            [PROGRAM, "run", "latency", "--backend", "lossy", "--rate", "100", *SHORT],
            cwd=here,
            env={**environ, **bad_backends},
            stdout=write_end,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
    finally:
        os.close(write_end)
    assert ended.returncode == 1


def test_the_listing_names_every_backend(ipclab: Ipclab) -> None:
    ended = ipclab("backends")
    assert (ended.code, ended.err) == (0, "")
    for name in {*channel_names(), *counter_names()}:
        assert name in ended.out


def test_the_version_is_the_packages(ipclab: Ipclab) -> None:
    assert ipclab("--version").out == f"ipclab, version {__version__}\n"
