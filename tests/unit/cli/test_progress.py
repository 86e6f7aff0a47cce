"""The progress bar shows the rates of the trials before."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from ipclab.backends.registry import Variant
from ipclab.cli.progress import TerminalProgress, sparkline
from ipclab.trial.spec import TrialSpec


def test_a_higher_rate_has_a_higher_block_on_a_logarithmic_scale() -> None:
    assert sparkline([10, 100, 1000]) == "▁▅█"


def test_equal_rates_are_in_the_middle_and_none_is_nothing() -> None:
    assert sparkline([5, 5]) == "▅▅"
    assert sparkline([]) == sparkline([0.0]) == ""


def test_a_long_name_is_cut_and_not_the_number_of_trials_or_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    options: dict[str, Any] = {"ack": "manual", "confirm": "publisher", "delivery": "persistent"}
    spec = TrialSpec(workload="stream", backend=Variant("rabbitmq", options))
    with TerminalProgress() as bar:
        bar.starting(123, 249, spec, 100.0)
    shown = terminal.getvalue()
    assert "122/249" in shown
    assert "2 min left" in shown
    assert "rabbitmq" in shown
