"""The trends on the page: a line for each row and metric, with what changed between the runs."""

from __future__ import annotations

from ipclab.compare.trend import Trend, follow
from ipclab.report.html.page import make_page
from ipclab.report.html.trends import TrendPart, make
from tests.support.digests import environment, row, run
from tests.support.pages import Read


def three_runs() -> Trend:
    """Return three runs: the second has no ``queue``; the third has another Python and a broken ``pipe``."""
    runs = [
        run(row("pipe", {"cpu": [100.0]}), row("queue", {"cpu": [50.0]})),
        run(row("pipe", {"cpu": [110.0]})),
        run(
            row("pipe", {"cpu": [150.0]}, verdict="broken"),
            row("queue", {"cpu": [50.0]}),
            environment=environment(python="3.14.0"),
        ),
    ]
    return follow("throughput", [(f"run-{number}", found) for number, found in enumerate(runs)])


def part() -> TrendPart:
    found = make(three_runs(), 1)
    assert found is not None
    return found


def test_a_line_says_the_first_the_last_and_the_change() -> None:
    line = next(line for line in part().lines if line.row.startswith("pipe"))
    assert line.metric == "CPU/message"
    assert "50" in line.change
    assert line.first != line.last


def test_each_run_is_a_mark_and_a_gap_interrupts_the_line() -> None:
    pipe, queue = (
        next(str(line.picture) for line in part().lines if line.row.startswith(name))
        for name in ("pipe", "queue")
    )
    assert (pipe.count('class="solid"'), pipe.count("<polyline")) == (3, 1)
    assert (queue.count('class="solid"'), queue.count("<polyline")) == (2, 0)


def test_a_change_of_the_conditions_is_marked_and_told() -> None:
    found = part()
    assert all('class="changed"' in line.picture for line in found.lines)
    assert any("3.14.0" in change for change in found.changes)


def test_a_run_that_was_broken_is_named() -> None:
    assert [said for said in part().bad if "run-2" in said and "broken" in said]


def test_one_run_makes_no_trend() -> None:
    assert make(follow("throughput", [("run", run(row("pipe", {"cpu": [1.0]})))]), 1) is None


def test_the_page_shows_the_trend_and_names_every_picture() -> None:
    page = make_page([], trends=[part()])
    words = Read(page).words
    assert "throughput: 3 runs over time" in words
    assert page.count("<svg") == page.count("<desc") == len(part().lines)
