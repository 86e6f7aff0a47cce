"""The table: what its columns, cells and marks say, and that it says it whole."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from ipclab.report import table, terminal
from ipclab.results import units
from ipclab.results.rows.build import rows

replace = msgspec.structs.replace
GOLDEN = Path(__file__).with_name("comparison_120.txt")


def cells_of(result: Any, header: str) -> list[str]:
    """What stands in this column, line by line."""
    (section,) = table.make(result).sections
    place = [head.text for head in section.heads].index(header)
    return [line.cells[place] for block in section.blocks for line in block.lines]


def test_the_comparison_at_120_columns_looks_like_this(comparison):
    assert terminal.text(table.make(comparison), width=120) == GOLDEN.read_text(encoding="utf-8")


def test_no_line_is_wider_than_120_columns(comparison):
    assert max(map(cell_len, terminal.text(table.make(comparison), width=120).splitlines())) <= 120


@pytest.mark.parametrize("width", [60, 72, 80, 100, 113, 120, 160, 250])
def test_no_cell_is_cut_short_at_any_width(comparison, width):
    shown = table.make(comparison)
    text = terminal.text(shown, width=width)
    words = set(text.split())
    for section in shown.sections:
        optional = {i for i, head in enumerate(section.heads) if head.optional or head.flexible}
        for line in (line for block in section.blocks for line in block.lines):
            missing = {
                word for i, cell in enumerate(line.cells) if i not in optional for word in cell.split()
            } - words
            assert not missing
    assert max(map(cell_len, text.splitlines())) <= width


def test_the_latency_table_shows_its_verdict_at_120_columns(make):
    backends = ("pipe", "rabbitmq:ack=manual,confirm=publisher,delivery=persistent,prefetch=100")
    trials = [
        make.paced(name, range(10_000_000, 10_020_000), repeat=i) for i in range(4) for name in backends
    ]
    text = terminal.text(table.make(make.result(trials)), width=120)
    (header,) = (line for line in text.splitlines() if " backend and mode " in line)
    assert {"p50", "p90", "p99", "p99.9", "max", "service", "late/", "verdict"} <= set(header.split())


def test_a_long_name_is_broken_where_words_end_and_stays_whole(comparison):
    text = terminal.text(table.make(comparison), width=80)
    for piece in ("rabbitmq", "publisher", "persistent", "simple-queue", "redis-stream"):
        assert piece in text


def test_a_result_without_trials_has_a_table(make):
    text = terminal.text(table.make(make.result(complete=False)))
    assert "PARTIAL: the run ended after 0 trials" in text
    assert "Verdict: 0 rows kept what they declare." in text


def test_every_mark_in_the_cells_is_explained_below_them(comparison):
    shown = table.make(comparison)
    cells = {cell for s in shown.sections for b in s.blocks for line in b.lines for cell in line.cells}
    for mark in (units.NOT_APPLICABLE, units.WITHHELD, units.NOT_TOLD):
        assert (mark in cells) == any(note.startswith(f"{mark} ") for note in shown.footnotes)
    assert not any(cell == "" for cell in cells)


def test_the_heading_has_the_bound_on_what_was_under_way_and_not_the_one_that_was_asked_for(make):
    def conditions(*sizes: int) -> str:
        trials = [make.stream("pipe", 1.0, spec={"size_bytes": size}) for size in sizes]
        trials.append(make.paced("pipe", [1, 2], spec={"size_bytes": 2**20}))
        return next(line for line in table.make(make.result(trials)).heading if line.startswith("Conditions"))

    assert ", at most 256 messages under way (a message stops counting when a later one" in conditions(2**16)
    assert ", at most 256 and 1000 messages under way (" in conditions(64, 1024, 2**16)


def test_a_higher_percentile_never_reads_as_less_than_a_lower_one(make):
    trials = [make.paced("pipe", range(901_234, 904_234), repeat=i) for i in range(4)]
    (section,) = table.make(make.result(trials)).sections
    (line,) = section.blocks[0].lines
    shown = [
        cell for head, cell in zip(section.heads, line.cells, strict=True) if head.full in ("p99", "p99.9")
    ]
    assert shown == ["900 µs", "900 µs"]


def test_the_closing_line_counts_verdicts(comparison):
    assert table.make(comparison).closing == (
        "Verdict: 5 rows kept what they declare; 1 unsafe discipline lost updates, as it declares; "
        "1 BROKE what it declares; 1 hung; 1 could not be measured."
    )


def test_an_unsafe_discipline_that_lost_nothing_proves_nothing(make):
    result = make.result([make.counter("value:discipline=naive", 9.0, safe=False)])
    assert "1 unsafe discipline showed no harm in this run, which does not prove it safe" in (
        table.make(result).closing
    )


def test_an_unsafe_channel_that_lost_messages_is_counted_as_harmed(make):
    lost = make.ledger(attempted=9, confirmed=9, owed=9, received=8, lost=1)
    declared = make.at_most_once | {"safe": False}
    shown = table.make(make.result([make.stream("shm-ring-naive", 9.0, ledger=lost, guarantees=declared)]))
    assert "1 unsafe discipline showed harm from a race, as it declares" in shown.closing
    (block,) = shown.sections[0].blocks
    assert block.title == "Shared state: unsafe disciplines"
    assert block.lines[0].verdict == "unsafe"


def test_the_reason_of_a_bad_verdict_is_found_by_its_mark(comparison):
    shown = table.make(comparison)
    marks = {line.cells[-1] for s in shown.sections for b in s.blocks for line in b.lines}
    assert {"broken¹", "hung²"} <= marks
    assert shown.problems[0] == "simple-queue 1→1: lost 3 confirmed messages"


@pytest.mark.parametrize(
    ("trials", "headers"),
    [
        ("stream", {"goodput", "CPU µs/message, workers"}),
        ("paced", {"offered", "p90", "max", "service p50", "service p99", "late/skipped"}),
        ("ping_pong", {"round trips", "p50", "CPU µs/message, workers"}),
        ("counter", {"updates", "lost updates", "price of safety", "p99"}),
    ],
)
def test_columns_fit_what_was_measured(make, trials, headers):
    made = {
        "stream": lambda: make.stream("pipe", 1.0),
        "paced": lambda: make.paced("pipe", [1, 2]),
        "ping_pong": lambda: make.ping_pong("pipe", 1.0),
        "counter": lambda: make.counter("value:discipline=naive", 1.0, safe=False),
    }
    (section,) = table.make(make.result([made[trials]()])).sections
    assert headers <= {head.full for head in section.heads}


def test_tables_do_not_depend_on_the_order_of_interleaved_trials(comparison):
    by_repeat = sorted(comparison.trials, key=lambda trial: trial.spec.repeat)
    assert table.make(replace(comparison, trials=by_repeat)).sections == table.make(comparison).sections


def test_the_p99_of_repeats_that_lie_far_apart_is_a_range(make):
    trials = [
        make.paced("pipe", [200_000] * 680 + [late] * 20, repeat=i)
        for i, late in enumerate((210_000, 900_000, 5_580_000))
    ]
    assert cells_of(make.result(trials), "p99") == ["0.21–5.6 ms"]
    assert any(note.startswith("p99 as a range  ") for note in table.make(make.result(trials)).footnotes)
    (row,) = rows(trials)
    assert row.end_to_end.p99_range_ns[0] < row.end_to_end.p99_ns <= row.end_to_end.p99_range_ns[1]


def test_the_p99_of_a_single_repeat_is_one_number(make):
    trials = [make.paced("pipe", [200_000] * 1980 + [900_000] * 20)]
    assert cells_of(make.result(trials), "p99") == ["900 µs"]


def test_beside_a_shared_rank_stands_what_the_repeats_could_have_shown(make):
    trials = [
        make.stream(name, rate, repeat=i)
        for name, rates in (("pipe", (90, 100, 110, 120, 95)), ("queue", (92, 99, 108, 121, 97)))
        for i, rate in enumerate(rates)
    ]
    found = cells_of(make.result(trials), "#")
    assert all(re.fullmatch(r"1= \d+%", cell) for cell in found)
    assert len(set(found)) == 1
    assert "the smallest difference that these repeats could have shown" in " ".join(
        table.make(make.result(trials)).footnotes
    )


def test_chinese_text_in_a_list_is_wrapped_and_not_cut() -> None:
    said = "同步：调用者等待所依赖的任务完成。异步：只通知任务去做，任务是否完成并不确定。"
    for width in (40, 60, 80, 81, 82, 120):
        lines = terminal.columns(("#", "说法"), [["1", said]], width=width).splitlines()
        assert "".join("".join(lines[1:]).split()) == f"1{said}"
        assert max(map(cell_len, lines)) <= width
