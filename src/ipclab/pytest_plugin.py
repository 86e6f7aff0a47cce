"""A pytest plug-in: the fixture ``ipclab``, which runs an experiment and checks its result.

::

    def test_queue(ipclab):
        ran = ipclab.run("throughput", backend="queue", producers=1, consumers=1, size="1KiB", duration=0.3)
        ran.assert_kept().assert_at_least(goodput="50 k/s").assert_at_most(lost=0)

Each assertion holds, fails, or is undecided: then the test is skipped with the reason, and with
``--ipclab-strict`` it fails. The experiment runs in a process of its own, so pytest's threads do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from ipclab.compare.digest import Digest
    from ipclab.results.result import Result

LEAST_REPEATS = 6
"""The repeats that a limit needs; the default of a run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--ipclab-strict``."""
    group = parser.getgroup("ipclab")
    group.addoption(
        "--ipclab-strict",
        action="store_true",
        default=False,
        help="fail tests whose ipclab assertions are undecided, instead of skipping them",
    )


@pytest.fixture
def ipclab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    """Run experiments of ipclab and check their results."""
    return Lab(tmp_path / "ipclab", strict=bool(request.config.getoption("ipclab_strict", default=False)))


class Lab:
    """Runs experiments, each in a process of its own. Results are below ``folder``."""

    def __init__(self, folder: Path, *, strict: bool) -> None:
        self._folder = folder
        self._strict = strict
        self._runs = 0

    def run(self, experiment: str, **options: Any) -> Ran:
        """Run an experiment with the options of ``ipclab run``: ``backend``, ``size``, ``start_method`` …

        An option that may be given again takes a list. Without ``repeats`` there are ``LEAST_REPEATS``.
        Raise RunFailedError where there is no result.
        """
        import os

        from ipclab.gate import child, sides

        self._runs += 1
        words = [
            word
            for name, value in ({"repeats": LEAST_REPEATS} | options).items()
            for word in _words(name, value)
        ]
        result = child.run(sides.this(), experiment, words, os.environ, self._folder / str(self._runs))
        return Ran(result, strict=self._strict)


class Ran:
    """The result of a run. Each assertion returns the same object, so that they can be chained."""

    def __init__(self, result: Result, *, strict: bool) -> None:
        from ipclab.compare.digest import digest

        self.result = result
        self._digest: Digest = digest(result)
        self._strict = strict

    def assert_kept(self) -> Self:
        """Fail unless every row and cell kept what its backend declares."""
        words: list[tuple[str, str, list[str]]] = [
            (row.key.text, row.verdict, row.reasons) for row in self._digest.rows
        ]
        words += [(c.key.text, _of_cell(c.verdict), [c.finding]) for c in self._digest.cells]
        gone = [f"{one.backend}: {one.reason}" for one in self._digest.unavailable]
        bad = [_said(*one) for one in words if one[1] not in ("kept", "unknown")]
        if bad:
            pytest.fail("; ".join(bad), pytrace=False)
        open_ = [_said(*one) for one in words if one[1] == "unknown"]
        if open_ or gone or not words:
            self._undecided("; ".join([*open_, *gone]) or "nothing was measured")
        return self

    def assert_at_least(self, **figures: str | float) -> Self:
        """Fail where a figure is below this with confidence: ``goodput="50 k/s"``."""
        return self._assert("<", figures)

    def assert_at_most(self, **figures: str | float) -> Self:
        """Fail where a figure is above this with confidence: ``p99="50 ms"``, ``cpu="10 us"``, ``lost=0``."""
        return self._assert(">", figures)

    def _assert(self, beyond: str, figures: dict[str, str | float]) -> Self:
        from ipclab.compare import limits
        from ipclab.report.comparison.words import of_limit

        asked = [limits.parse(f"{name} {beyond} {amount}") for name, amount in figures.items()]
        judged = limits.judge(asked, self._digest.rows)
        if broken := [of_limit(one) for one in judged if one.word == "broken"]:
            pytest.fail("; ".join(broken), pytrace=False)
        if open_ := [of_limit(one) for one in judged if one.word == "undecided"]:
            self._undecided("; ".join(open_))
        return self

    def _undecided(self, reason: str) -> None:
        if self._strict:
            pytest.fail(f"undecided: {reason}", pytrace=False)
        pytest.skip(f"undecided: {reason}")


def _of_cell(verdict: str) -> str:
    return "kept" if verdict == "declared" else "unknown" if verdict == "refused" else verdict


def _said(row: str, verdict: str, reasons: list[str]) -> str:
    why = "; ".join(reason for reason in reasons if reason)
    return f"{row} is {verdict}{f': {why}' if why else ''}"


def _words(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    values = value if isinstance(value, (list, tuple)) else [value]
    return [word for one in values for word in (flag, str(one))]
