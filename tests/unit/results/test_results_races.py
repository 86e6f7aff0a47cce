"""What a race showed, by luck and by force, as rows and as a table."""

from __future__ import annotations

from ipclab.results.export import rows_as_csv
from ipclab.results.formats import formatted
from ipclab.results.rows import rows
from ipclab.results.table import table
from ipclab.results.verdict import exit_code


def naive(make, *, lost: int, repeat: int, producers: int = 2):
    return make.counter(
        "value:discipline=naive", 9e5, safe=False, lost=lost, repeat=repeat, producers=producers
    )


def test_what_was_forced_stands_beside_what_was_observed(make):
    trials = [naive(make, lost=lost, repeat=i) for i, lost in enumerate((3, 0, 0))]
    trials += [make.forced("value:discipline=naive", shown=True, safe=False, repeat=i) for i in range(3)]
    (row,) = rows(trials)
    assert (row.race.observed, row.race.trials) == (1, 3)
    assert (row.race.shown, row.race.forced) == (3, 3)
    assert (round(row.race.low, 3), round(row.race.high, 3)) == (0.061, 0.792)
    assert row.trials == {"counter": 3, "forced": 3}
    assert row.updates_per_s.values == [9e5] * 3


def test_what_was_forced_stands_in_the_rows_of_all_shapes_of_that_discipline_and_in_no_other(make):
    trials = [naive(make, lost=1, repeat=0, producers=n) for n in (2, 4)]
    trials += [make.counter("value:discipline=locked", 5e5, safe=True)]
    trials += [make.forced("value:discipline=naive", shown=True, safe=False)]
    found = {(row.mode, row.producers): row.race for row in rows(trials)}
    assert found["naive", 2].forced == found["naive", 4].forced == 1
    assert found["locked", 2] is None


def test_a_race_that_was_only_forced_has_a_row(make):
    (row,) = rows([make.forced("value:discipline=naive", shown=True, safe=False)])
    assert (row.kind, row.race.shown, row.race.forced, row.race.trials) == ("counter", 1, 1, 0)
    assert (row.race.low, row.race.high) == (0.0, 1.0)
    assert row.verdict == "unsafe"


def test_a_trial_that_could_not_be_carried_out_counts_as_neither(make):
    (row,) = rows(
        [
            make.counter("value:discipline=naive", 1.0, safe=False, lost=1),
            make.forced("value:discipline=naive", shown=None, safe=False, refused="it does not say how"),
        ]
    )
    assert (row.race.shown, row.race.forced) == (0, 0)
    assert row.race.findings == ["it does not say how"]
    assert cell(make, row_trials(make, shown=None), "possible") == "–"


def test_without_forced_trials_a_counter_has_no_race_and_its_table_is_as_it_was(make):
    trials = [naive(make, lost=1, repeat=0)]
    (row,) = rows(trials)
    assert row.race is None
    (section,) = table(make.result(trials)).sections
    assert "observed" not in [head.text for head in section.heads]


def test_the_table_tells_observed_from_possible(make):
    trials = row_trials(make, shown=True)
    assert cell(make, trials, "observed") == "0/2 (0–66%)"
    assert cell(make, trials, "possible") == "yes 1/1"
    assert cell(make, trials, "lost updates") == "0%"
    assert "1 unsafe discipline let a race do harm, as it declares" in table(make.result(trials)).closing


def test_an_interleaving_that_is_kept_out_reads_as_no(make):
    trials = [
        make.counter("value:discipline=locked", 1.0, safe=True),
        make.forced("value:discipline=locked", shown=False, safe=True),
    ]
    assert cell(make, trials, "possible") == "no 0/1"
    assert exit_code(make.result(trials)) == 0


def test_a_safe_discipline_that_is_shown_to_race_is_broken_and_the_exit_code_says_so(make):
    trials = [
        make.counter("value:discipline=locked", 1.0, safe=True),
        make.forced("value:discipline=locked", shown=True, safe=True, broken=["lost-update 1"]),
    ]
    (row,) = rows(trials)
    assert (row.verdict, row.reasons) == ("broken", ["lost-update 1"])
    assert exit_code(make.result(trials)) == 1
    assert exit_code(make.result(row_trials(make, shown=True))) == 0


def test_a_race_is_in_the_csv(make):
    header, line = rows_as_csv(make.result(row_trials(make, shown=True))).splitlines()
    flat = dict(zip(header.split(","), line.split(","), strict=True))
    assert (flat["race_observed"], flat["race_trials"], flat["race_shown"], flat["race_forced"]) == (
        "0",
        "2",
        "1",
        "1",
    )


def test_a_race_fits_into_120_columns_and_explains_itself(make):
    shown = formatted(make.result(row_trials(make, shown=True)), "table", width=120)
    assert max(map(len, shown.splitlines())) <= 120
    assert any(line.startswith("observed ") for line in shown.splitlines())
    assert any(line.startswith("possible ") for line in shown.splitlines())


def row_trials(make, *, shown):
    return [
        *(naive(make, lost=0, repeat=i) for i in range(2)),
        make.forced("value:discipline=naive", shown=shown, safe=False),
    ]


def cell(make, trials, column):
    (section,) = table(make.result(trials)).sections
    place = [head.full for head in section.heads].index(column)
    return section.blocks[0].lines[0].cells[place]
