"""The progress bar shows the rates of the trials before."""

from __future__ import annotations

from ipclab.cli.progress import sparkline


def test_a_higher_rate_has_a_higher_block_on_a_logarithmic_scale() -> None:
    assert sparkline([10, 100, 1000]) == "▁▅█"


def test_equal_rates_are_in_the_middle_and_none_is_nothing() -> None:
    assert sparkline([5, 5]) == "▅▅"
    assert sparkline([]) == sparkline([0.0]) == ""
