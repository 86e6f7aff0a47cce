"""The table in all its forms: what it says, and that it says it whole."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ipclab.report import csv as report_csv
from ipclab.report import json as report_json
from ipclab.report import markdown, table, terminal
from ipclab.report.formats import FORMATS, formatted
from ipclab.results import units
from ipclab.results.rows.build import rows
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency

replace = msgspec.structs.replace
GOLDEN = Path(__file__).with_name("comparison_120.txt")
SHAKE = (0.0, 0.02, -0.02, 0.01)


def repeats(make: Any, backend: str, rate: float, p50_ns: int, **fields: Any) -> list[Any]:
    found = []
    for i, shake in enumerate(SHAKE):
        found.append(make.stream(backend, rate * (1 + shake), repeat=i, **fields))
        samples = range(p50_ns, p50_ns + 3000)
        found.append(
            make.paced(backend, samples, repeat=i, **{k: v for k, v in fields.items() if k != "ledger"})
        )
    return found


@pytest.fixture
def comparison(make):
    durable = {"guarantees": make.durable, "cost": make.cost(broker_cpu_s=0.25, wanted=3)}
    living = make.durable | {"may_lose": ["broker crash"], "durability": "none"}
    buffered = {"guarantees": make.at_most_once | {"confirm": "buffered"}}
    lost = make.ledger(
        attempted=99, confirmed=99, owed=99, received=96, lost=3, broken=["lost 3 confirmed messages"]
    )
    trials = [
        *repeats(make, "pipe", 187_103, 8_206),
        *repeats(make, "queue", 62_280, 37_619, **buffered),
        *repeats(make, "simple-queue", 250_000, 13_801, ledger=lost),
        *repeats(
            make, "rabbitmq:ack=manual,confirm=publisher,delivery=persistent,prefetch=100", 4_321, 901_234,
            spec={"window": 100}, **durable,
        ),
        *repeats(make, "redis-stream", 12_345, 150_000, **(durable | {"guarantees": living})),
        make.hung("manager-queue"),
        *(make.counter("value:discipline=naive", 900_000, safe=False, lost=i, repeat=i) for i in range(4)),
        *(make.counter("value:discipline=locked", 450_000, safe=True, repeat=i) for i in range(4)),
    ]  # fmt: skip
    return make.result(trials, unavailable=[make.unavailable("memcached-ticket", "no memcached was found")])


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


def test_plain_text_has_no_escape_codes_and_colour_has(comparison):
    assert "\x1b" not in terminal.text(table.make(comparison))
    coloured = terminal.text(table.make(comparison), colour=True)
    assert "\x1b[32m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split() == terminal.text(table.make(comparison)).split()


@pytest.mark.parametrize(
    ("is_terminal", "environ", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_unless_it_is_unwanted(is_terminal, environ, wanted):
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    assert terminal.wants_colour(Stream(), environ) is wanted


def test_square_brackets_in_names_and_reasons_are_shown_as_they_are(make):
    result = make.result(unavailable=[make.unavailable("redis[x]", "[Errno 111] [red]refused[/red]")])
    assert "redis[x]: [Errno 111] [red]refused[/red]" in terminal.text(table.make(result))


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


def test_withheld_percentiles_come_with_the_command_that_takes_them(make):
    result = make.result([make.paced("pipe", range(1000, 2000))])
    assert short_of_samples(result).endswith("; to show all of them: ipclab run comparison --duration 35")


def short_of_samples(result: Any) -> str:
    """The note on percentiles that have too few samples beyond them; empty where there is none."""
    return next((note for note in table.make(result).footnotes if "samples must lie beyond" in note), "")


def test_the_command_that_takes_withheld_percentiles_goes_by_the_rows_own_workload(make):
    paced = make.paced("pipe", range(1000, 2000), spec={"duration_s": 2.0})
    long = make.stream("pipe", 1.0, spec={"duration_s": 60.0})
    assert short_of_samples(make.result([paced, long])).endswith(" --duration 25")


def test_the_command_that_takes_withheld_percentiles_has_the_options_of_the_run(make):
    asked = {
        "backends": "rabbitmq:ack=manual,prefetch=10, pipe",
        "rate_per_s": "500.0",
        "duration_s": "3.0",
        "seed": "1",
    }
    result = make.result([make.paced("pipe", range(1000, 2000))], experiment="latency", options=asked)
    again = "--backend rabbitmq:ack=manual,prefetch=10 --backend pipe --rate 500 --duration 35"
    assert short_of_samples(result).endswith(f": ipclab run latency {again}")


def test_samples_that_no_trial_is_long_enough_for_are_not_promised(make):
    result = make.result([make.paced("pipe", range(1000, 1005), rate=1.0)])
    note = short_of_samples(result)
    assert note.endswith("not within 3600 s")
    assert "--duration" not in note


def test_the_warm_up_counts_towards_how_long_a_trial_may_be(make):
    def note(warmup_s: float) -> str:
        spec = {"duration_s": 300.0, "warmup_s": warmup_s}
        return short_of_samples(make.result([make.paced("pipe", range(1000, 2000), spec=spec)]))

    assert note(100.0).endswith(" --duration 3500")
    assert note(101.0).endswith("not within 3600 s")


def lossy(make: Any, samples: int, *, lost: int, skipped: int = 0) -> Any:
    found = summarize(np.arange(1000, 1000 + samples))
    latency = Latency(end_to_end=found, service=found, skipped_sends=skipped)
    ledger = make.ledger(attempted=samples + lost, confirmed=samples + lost, received=samples, lost=lost)
    return make.paced("pipe", [], latency=latency, ledger=ledger)


def test_percentiles_that_lie_among_lost_messages_are_not_called_short_of_samples(make):
    result = make.result([lossy(make, 10_000, lost=500)])
    notes = table.make(result).footnotes
    assert short_of_samples(result) == ""
    assert any(
        note.startswith("·  withheld, because the figure lies among messages that were skipped or lost")
        for note in notes
    )
    assert any(
        note.startswith("lost: 500 messages of the open loop never arrived; each counts as slower")
        for note in notes
    )
    assert not any(note.startswith("skipped:") for note in notes)


def test_more_samples_are_not_said_to_help_where_too_much_is_lost(make):
    """Of 600 messages 100 were lost: p99 would lie among the lost ones of a longer run too."""
    assert short_of_samples(make.result([lossy(make, 500, lost=100)])) == ""


def test_where_nothing_was_lost_nothing_is_said_to_lie_among_it(make):
    notes = table.make(make.result([lossy(make, 500, lost=0)])).footnotes
    assert not any(note.startswith("lost:") or "lies among" in note for note in notes)


def test_a_percentile_that_only_another_column_lacks_is_not_explained(make):
    """Where there is goodput, the maximum has no column."""
    paced = lossy(make, 500, lost=0, skipped=1)
    notes = table.make(make.result([make.stream("pipe", 1.0), paced])).footnotes
    assert any("samples must lie beyond" in note for note in notes)
    assert not any("lies among" in note for note in notes)


def test_only_negative_samples_are_explained_without_a_promise(make):
    found = summarize(np.asarray([-5, -6]))
    result = make.result([make.paced("pipe", [], latency=Latency(end_to_end=found, service=found))])
    assert short_of_samples(result)
    assert "to show all" not in short_of_samples(result)


def test_the_heading_has_the_bound_on_what_was_under_way_and_not_the_one_that_was_asked_for(make):
    def conditions(*sizes: int) -> str:
        trials = [make.stream("pipe", 1.0, spec={"size_bytes": size}) for size in sizes]
        trials.append(make.paced("pipe", [1, 2], spec={"size_bytes": 2**20}))
        return next(line for line in table.make(make.result(trials)).heading if line.startswith("Conditions"))

    assert ", at most 256 messages under way (a message stops counting when a later one" in conditions(2**16)
    assert ", at most 256 and 1000 messages under way (" in conditions(64, 1024, 2**16)


def test_a_rate_of_nothing_is_explained(make):
    shown = formatted(make.result([make.stream("queue", 0)]), "table")
    assert "0 /s  nothing arrived within the measured window" in shown
    assert "0 /s  nothing" not in formatted(make.result([make.stream("queue", 5)]), "table")


def test_ranks_that_need_more_repeats_say_how_many(make):
    result = make.result([make.stream("pipe", 1.0), make.stream("queue", 2.0)])
    assert any("ipclab run comparison --repeats 4" in note for note in table.make(result).footnotes)
    asked = replace(result, options={"backends": "pipe, queue", "repeats": "1"})
    again = "ipclab run comparison --backend pipe --backend queue --repeats 4"
    assert any(again in note for note in table.make(asked).footnotes)


def test_the_note_on_ranks_calls_the_test_exact_only_where_it_was(make):
    def note(repeats: int) -> str:
        trials = [make.stream(name, float(i + 1), repeat=i) for name in ("a", "b") for i in range(repeats)]
        return next(note for note in table.make(make.result(trials)).footnotes if note.startswith("#  rank"))

    assert "exact Mann-Whitney test, p < 0.05" in note(50)
    assert "exact" not in note(51)


def test_a_higher_percentile_never_reads_as_less_than_a_lower_one(make):
    trials = [make.paced("pipe", range(901_234, 904_234), repeat=i) for i in range(4)]
    (section,) = table.make(make.result(trials)).sections
    (line,) = section.blocks[0].lines
    shown = [
        cell for head, cell in zip(section.heads, line.cells, strict=True) if head.full in ("p99", "p99.9")
    ]
    assert shown == ["900 µs", "900 µs"]


def test_negative_latencies_are_told(make):
    result = make.result([make.paced("pipe", [-5, *range(1000, 3000)])])
    assert any(note.startswith("negative: 1 latency below zero, ") for note in table.make(result).footnotes)


def test_a_negative_latency_of_a_message_is_counted_once_and_others_by_name(make):
    latency = Latency(
        end_to_end=summarize(np.asarray([-5, -6, 7])),
        service=summarize(np.asarray([-5, -6, -7])),
        confirm=summarize(np.asarray([-1, 2, 3])),
    )
    notes = table.make(make.result([make.paced("pipe", [], latency=latency)])).footnotes
    assert any(note.startswith("negative: 4 latencies below zero (1 of confirm), ") for note in notes)


def test_different_confirm_levels_and_windows_are_pointed_out(make):
    buffered = make.at_most_once | {"confirm": "buffered"}
    result = make.result(
        [make.stream("pipe", 1.0), make.stream("queue", 1.0, guarantees=buffered, spec={"window": 9})]
    )
    notes = table.make(result).footnotes
    assert any(note.startswith("confirm ") for note in notes)
    assert any(note.startswith("window ") for note in notes)
    assert not any(
        note.startswith(("confirm ", "window "))
        for note in table.make(make.result(result.trials[:1])).footnotes
    )


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


def test_markdown_has_a_table_for_each_group_with_as_many_cells_as_headers(comparison):
    lines = markdown.draw(table.make(comparison)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    counts = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert len(counts) == 2
    assert sum(line.startswith(("| --", "| :--")) for line in rows) == 5


def test_markdown_keeps_marks_of_its_own_language_as_text(make):
    result = make.result(question="a|b *c* <d>", unavailable=[make.unavailable("x", "_y_ | z")])
    text = markdown.draw(table.make(result))
    assert r"a\|b \*c\* \<d\>" in text
    assert r"\_y\_ \| z" in text


def test_csv_has_one_line_a_row_with_units_in_its_headers(comparison):
    lines = list(csv.DictReader(io.StringIO(report_csv.render(comparison))))
    assert [line["backend"] for line in lines][-1] == "memcached-ticket"
    assert lines[-1]["verdict"] == "unavailable"
    assert len(lines) == 9
    pipe = next(line for line in lines if line["backend"] == "pipe")
    assert float(pipe["goodput_per_s_median"]) == pytest.approx(187_103 * 1.005)
    assert int(pipe["end_to_end_p50_ns"]) == pytest.approx(9_706, rel=2e-3)
    assert pipe["updates_lost"] == ""


def test_json_is_the_result_with_its_rows(comparison):
    printed = json.loads(report_json.render(comparison))
    assert printed["ipclab_result"] == 2
    assert len(printed["rows"]) == 8
    assert {key: value for key, value in printed.items() if key not in ("rows", "cells")} == json.loads(
        msgspec.json.encode(comparison)
    )


def test_tables_do_not_depend_on_the_order_of_interleaved_trials(comparison):
    by_repeat = sorted(comparison.trials, key=lambda trial: trial.spec.repeat)
    assert table.make(replace(comparison, trials=by_repeat)).sections == table.make(comparison).sections


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_whole_lines(comparison, name):
    text = formatted(comparison, name)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "redis-stream" in text


# Units


@pytest.mark.parametrize(
    ("per_s", "spread", "shown"),
    [
        (123_456, 0.01, "123 k/s"),
        (123_456, 0.2, "120 k/s"),
        (123_456, None, "120 k/s"),
        (1_234_567, 0.01, "1.23 M/s"),
        (999_600, 0.01, "1.00 M/s"),
        (999.6, 0.2, "1.0 k/s"),
        (4.5678, 0.01, "4.57 /s"),
        (0, None, "0 /s"),
    ],
)
def test_rates_have_a_unit_and_no_more_digits_than_they_bear(per_s, spread, shown):
    assert units.rate(per_s, spread) == shown


@pytest.mark.parametrize(
    ("ns", "spread", "shown"),
    [
        (450, 0.5, "450 ns"),
        (45_123, 0.01, "45.1 µs"),
        (1_234_000, 0.01, "1.23 ms"),
        (2.5e9, None, "2.5 s"),
        (-5, None, "-5.0 ns"),
    ],
)
def test_times_have_a_unit(ns, spread, shown):
    assert units.duration(ns, spread) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0%"), (1e-9, "<0.01%"), (0.004, "0.40%"), (0.331, "33%"), (1, "100%"), (0.99999, "99.99%")],
)
def test_what_is_not_nothing_never_reads_as_nothing_nor_a_part_as_all(share, shown):
    assert units.percent(share) == shown


@given(st.floats(min_value=1e-3, max_value=1e12), st.sampled_from([2, 3]))
def test_a_number_is_off_by_its_last_digit_at_most(value, digits):
    assert float(units.number(value, digits)) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) + 1e-9)


@given(st.floats(min_value=1, max_value=1e12))
def test_a_rate_never_shows_a_thousand_of_a_smaller_unit(per_s):
    if per_s < 9e11:
        assert float(units.rate(per_s, 0.01).split()[0]) < 1000


@pytest.mark.parametrize(
    ("bytes_", "shown"), [(64, "64 B"), (1024, "1 KiB"), (65536, "64 KiB"), (1536 * 1024, "1.5 MiB")]
)
def test_sizes_are_in_binary_units(bytes_, shown):
    assert units.size(bytes_) == shown


def cells_of(result: Any, header: str) -> list[str]:
    """What stands in this column, line by line."""
    (section,) = table.make(result).sections
    place = [head.text for head in section.heads].index(header)
    return [line.cells[place] for block in section.blocks for line in block.lines]


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


def test_a_p99_that_is_withheld_for_want_of_excursions_says_so(make):
    values = np.full(2000, 200_000)
    values[500:530] = 20_000_000
    found = summarize(values, np.arange(2000))
    latency = Latency(end_to_end=found, service=found)
    note = short_of_samples(make.result([make.paced("pipe", [1], latency=latency)]))
    assert "in as many separate excursions" in note
