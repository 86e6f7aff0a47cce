"""The counter check: what a shared number must show after a known set of increments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.checks.breach import texts
from ipclab.checks.counter import of_unfinished, settle

counts = st.integers(0, 10**12)


def test_a_number_that_shows_every_confirmed_increment_is_valid() -> None:
    verdict = settle(100, 100, 100, safe=True)
    assert (verdict.verdict, verdict.lost, verdict.phantom, verdict.broken) == ("valid", 0, 0, [])


def test_a_lost_update_breaks_a_safe_discipline() -> None:
    verdict = settle(100, 100, 60, safe=True)
    assert (verdict.verdict, verdict.lost) == ("invalid", 40)
    assert texts(verdict.broken) == ["lost 40 of 100 confirmed increments"]


def test_a_lost_update_of_an_unsafe_discipline_is_counted_and_is_what_it_declares() -> None:
    verdict = settle(100, 100, 60, safe=False)
    assert (verdict.verdict, verdict.lost, verdict.broken) == ("valid", 40, [])


@pytest.mark.parametrize("safe", [True, False])
def test_an_increment_that_nobody_made_breaks_any_discipline(safe: bool) -> None:
    verdict = settle(100, 100, 103, safe=safe)
    assert (verdict.verdict, verdict.phantom) == ("invalid", 3)
    assert texts(verdict.broken) == ["shows 3 increments that nobody made"]


@given(confirmed=counts, unknown=counts, happened=counts)
def test_an_increment_of_unknown_outcome_may_have_happened_or_not(
    confirmed: int, unknown: int, happened: int
) -> None:
    final = confirmed + min(unknown, happened)
    assert settle(confirmed + unknown, confirmed, final, safe=True).verdict == "valid"


@given(attempted=counts, confirmed=counts, final=counts, safe=st.booleans())
def test_the_law_is_confirmed_at_most_final_at_most_attempted(
    attempted: int, confirmed: int, final: int, safe: bool
) -> None:
    confirmed = min(confirmed, attempted)
    verdict = settle(attempted, confirmed, final, safe=safe)
    assert (verdict.verdict == "valid") == (final <= attempted and (not safe or confirmed <= final))
    assert final + verdict.lost - verdict.phantom in range(confirmed, attempted + 1)


@pytest.mark.parametrize(("safe", "verdict"), [(True, "invalid"), (False, "unknown")])
def test_a_trial_that_was_cut_short_shows_of_a_counter_no_more_than_a_breach(
    safe: bool, verdict: str
) -> None:
    cut_short = of_unfinished(settle(100, 100, 60, safe=safe))

    assert (cut_short.lost, cut_short.verdict) == (40, verdict)
