"""Shares that were seen k times of n, and the Wilson interval."""

from __future__ import annotations

from ipclab.claims import Share


def test_of_no_trials_nothing_is_known() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)


def test_a_share_is_written_in_both_languages() -> None:
    text = Share(12, 50).text()
    assert text.en == "12 of 50 (24 %, 95 % interval 14–37 %)"
    assert text.zh == "50 次中 12 次（24 %，95 % 置信区间 14–37 %）"


def test_a_small_share_is_not_rounded_to_never() -> None:
    assert Share(1, 500).text().en.startswith("1 of 500 (0.2 %")
