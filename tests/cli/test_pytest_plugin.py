"""The fixture ``ipclab``: it passes, fails and skips the tests of a project that uses it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.documents import CHECKOUT

RUN = 'ipclab.run("throughput", backend="{}", producers=1, consumers=1, size=64, duration=0.4, warmup=0.1{})'


def outcome(
    tmp_path: Path, environ: dict[str, str], line: str, *options: str, **more: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_it.py").write_text(f"def test_it(ipclab):\n    {line}\n")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rA",
            "-p",
            "no:cacheprovider",
            "-p",
            "ipclab.pytest_plugin",
            *options,
        ],
        cwd=tmp_path,
        env={**environ, **more, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_package_brings_the_plug_in() -> None:
    described = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert described["project"]["entry-points"]["pytest11"] == {"ipclab": "ipclab.pytest_plugin"}


def test_what_was_kept_and_fast_enough_passes(tmp_path: Path, environ: dict[str, str]) -> None:
    line = RUN.format("pipe", "") + '.assert_kept().assert_at_least(goodput="1 /s").assert_at_most(lost=0)'
    ended = outcome(tmp_path, environ, line)
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


@pytest.mark.parametrize(
    ("backend", "assertion", "said"),
    [
        ("pipe", '.assert_at_least(goodput="900 G/s")', "the limit goodput < 900 G/s is broken"),
        ("lossy", ".assert_kept()", "lossy 1→1 64 B is broken: lost 1 confirmed message"),
    ],
)
def test_what_was_not_fails_with_the_figures(
    tmp_path: Path,
    environ: dict[str, str],
    bad_backends: dict[str, str],
    backend: str,
    assertion: str,
    said: str,
) -> None:
    ended = outcome(tmp_path, environ, RUN.format(backend, "") + assertion, **bad_backends)
    assert ended.returncode == 1
    assert said in ended.stdout


def test_what_is_undecided_is_skipped_with_the_reason_and_fails_if_strict(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    line = RUN.format("pipe", ", repeats=1") + '.assert_at_least(goodput="1 /s")'
    ended = outcome(tmp_path, environ, line)
    assert "1 skipped" in ended.stdout
    assert "too few repeats to say: 1, and 6 are the least" in ended.stdout
    assert "1 failed" in outcome(tmp_path, environ, line, "--ipclab-strict").stdout
