"""The test of two samples is what scipy says."""

from __future__ import annotations

import random

import pytest

from ipclab.results import ranked

CHANCE = random.Random(13)


def samples(n: int, m: int) -> tuple[list[float], list[float]]:
    return [CHANCE.lognormvariate(0, 0.3) for _ in range(n)], [
        CHANCE.lognormvariate(0.2, 0.3) for _ in range(m)
    ]


@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (3, 7), (6, 6), (10, 10), (10, 20), (20, 11), (50, 10), (50, 50)]
)
def test_the_exact_test_gives_what_scipy_gives(n: int, m: int) -> None:
    from scipy.stats import mannwhitneyu  # takes a second, and every worker of pytest-xdist reads this file

    for _ in range(5):
        a, b = samples(n, m)
        expected = mannwhitneyu(a, b, alternative="two-sided", method="exact").pvalue
        assert ranked.mann_whitney_p(a, b) == pytest.approx(float(expected), rel=1e-9)


def test_many_values_are_tested_by_the_normal_approximation() -> None:
    from scipy.stats import mannwhitneyu

    a, b = samples(60, 60)
    expected = mannwhitneyu(a, b, alternative="two-sided", method="asymptotic").pvalue
    assert ranked.mann_whitney_p(a, b) == pytest.approx(float(expected))


def test_ties_make_no_claim_easier() -> None:
    assert ranked.mann_whitney_p([1.0] * 10, [1.0] * 10) == 1.0
    a, b = [1.0, 2, 3, 4, 5, 6], [6.0, 7, 8, 9, 10, 11]
    assert ranked.mann_whitney_p(a, b) >= ranked.mann_whitney_p(a, [value + 0.5 for value in b])
