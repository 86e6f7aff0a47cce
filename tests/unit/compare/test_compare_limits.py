"""Absolute limits fail only with confidence."""

from __future__ import annotations

import pytest

from ipclab.compare import limits
from ipclab.compare.comparison import compare
from ipclab.compare.limits import parse
from ipclab.errors import UsageError
from tests.support.digests import row, run

MS = 1e6


@pytest.mark.parametrize(
    ("text", "what", "direction", "bound", "pattern"),
    [
        ("p99 > 50ms", "p99", ">", 50e6, ""),
        ("goodput < 1k/s", "goodput", "<", 1e3, ""),
        ("lost > 0", "lost", ">", 0.0, ""),
        ("cpu>12.5 us", "cpu", ">", 12.5, ""),
        ("redis-*: p50 > 2 ms", "p50", ">", 2e6, "redis-*"),
        ("rabbitmq:ack=manual: goodput < 2 M/s", "goodput", "<", 2e6, "rabbitmq:ack=manual"),
    ],
)
def test_a_limit_is_read(text: str, what: str, direction: str, bound: float, pattern: str) -> None:
    found = parse(text)
    assert (found.what, found.direction, found.bound, found.pattern) == (what, direction, bound, pattern)


@pytest.mark.parametrize(
    "text", ["", "p99", "p99 > fast", "p99 >= 5ms", "p99 > 5 bananas", "goodput < 5ms", "x > 1"]
)
def test_what_is_no_limit_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([60.0, 61, 62, 63, 64, 65, 66, 67], "broken"),
        ([40.0, 41, 42, 43, 44, 45, 46, 47], "kept"),
        ([40.0, 41, 42, 49, 51, 55, 56, 57], "undecided"),
        ([60.0, 61, 62, 63, 64], "undecided"),
    ],
)
def test_a_limit_is_broken_only_where_the_whole_interval_is_beyond_it(values: list[float], word: str) -> None:
    member = row("pipe", {"p99": [value * MS for value in values]})
    (one,) = limits.judge([parse("p99 > 50ms")], [member])
    assert one.word == word


def test_a_count_needs_no_statistics() -> None:
    members = [row("pipe", counts={"lost": 0}), row("queue", counts={"lost": 1})]
    assert [one.word for one in limits.judge([parse("lost > 0")], members)] == ["kept", "broken"]


def test_a_pattern_chooses_backends_by_name_or_with_options() -> None:
    members = [row("redis-list"), row("redis-stream:maxlen=5"), row("pipe")]
    found = limits.judge([parse("redis-*: lost > 0")], members)
    assert [one.row.partition(" ")[0] for one in found] == ["redis-list", "redis-stream:maxlen=5"]


def test_a_limit_that_fits_no_row_is_undecided() -> None:
    (one,) = limits.judge([parse("nothing-*: lost > 0")], [row("pipe")])
    assert (one.row, one.word) == ("", "undecided")


@pytest.mark.parametrize(
    ("limit", "code"), [("goodput < 1k/s", 0), ("goodput < 10k/s", 1), ("goodput < 5.5k/s", 3)]
)
def test_a_limit_decides_the_exit_code_without_an_old_run(limit: str, code: int) -> None:
    values = [5000.0, 5100, 5200, 5300, 5600, 5700, 5800, 5900]
    found = compare(None, run(row("pipe", {"goodput": values})), fail_if=[parse(limit)])
    assert found.exit_code == code
