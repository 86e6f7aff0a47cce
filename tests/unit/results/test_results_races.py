"""What a race showed, by luck and by force, as rows and as a table."""

from __future__ import annotations

import csv
import io

from ipclab.report import csv as report_csv
from ipclab.report import table
from ipclab.report.formats import formatted
from ipclab.results.rows.build import rows
from ipclab.results.verdict import exit_code
from tests.support.safety import crash


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
    (section,) = table.make(make.result(trials)).sections
    assert "observed" not in [head.text for head in section.heads]


def test_the_table_tells_observed_from_possible(make):
    trials = row_trials(make, shown=True)
    assert cell(make, trials, "observed") == "0/2 [0–66%]"
    assert cell(make, trials, "possible") == "yes 1/1"
    assert cell(make, trials, "lost updates") == "0%"
    assert (
        "1 unsafe discipline showed harm from a race, as it declares"
        in table.make(make.result(trials)).closing
    )


def test_the_interval_of_what_was_observed_is_not_made_narrower_by_rounding(make):
    trials = [naive(make, lost=0, repeat=i) for i in range(5)]
    trials.append(make.forced("value:discipline=naive", shown=True, safe=False))
    # The upper end is 43.4 %.
    assert cell(make, trials, "observed") == "0/5 [0–44%]"


def test_an_interleaving_that_is_kept_out_reads_as_no(make):
    trials = [
        make.counter("value:discipline=locked", 1.0, safe=True),
        make.forced("value:discipline=locked", shown=False, safe=True),
    ]
    assert cell(make, trials, "possible") == "no 0/1"
    assert exit_code(make.result(trials)) == 0


def test_what_load_has_shown_is_possible_whatever_was_forced(make):
    trials = [naive(make, lost=5, repeat=i) for i in range(2)]
    for hold, shown in (("one step", False), ("held", False), ("out of reach", None)):
        by_force = make.forced("value:discipline=naive", shown=shown, safe=False, hold=hold)
        assert cell(make, [*trials, by_force], "possible") == "yes: load"


def test_an_operation_that_its_backend_calls_one_step_reads_neither_as_no_nor_as_not_tried(make):
    load = make.counter("value:discipline=locked", 1.0, safe=True)
    found = {
        hold: cell(
            make,
            [load, make.forced("value:discipline=locked", shown=shown, safe=True, hold=hold)],
            "possible",
        )
        for hold, shown in (("held", False), ("one step", False), ("out of reach", None), ("", None))
    }
    assert found == {"held": "no 0/1", "one step": "one step", "out of reach": "?", "": "–"}


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
    header, line = report_csv.render(make.result(row_trials(make, shown=True))).splitlines()
    flat = dict(zip(header.split(","), line.split(","), strict=True))
    assert (flat["race_observed"], flat["race_trials"], flat["race_shown"], flat["race_forced"]) == (
        "0",
        "2",
        "1",
        "1",
    )


def test_the_anomalies_of_a_race_are_in_the_csv(make):
    found = {"lost-update": 7, "stale-read": 1}
    trial = make.watched(
        "register", "redis:discipline=get-set", face="register", safe=False, shown=True, anomalies=found
    )
    (line,) = csv.DictReader(io.StringIO(report_csv.render(make.result([trial]))))
    assert line["race_anomalies"] == "lost-update=7; stale-read=1"


def test_a_race_fits_into_120_columns_and_explains_itself(make):
    shown = formatted(make.result(row_trials(make, shown=True)), "table")
    assert max(map(len, shown.splitlines())) <= 120
    assert any(line.startswith("observed ") for line in shown.splitlines())
    assert any(line.startswith("possible ") for line in shown.splitlines())


def registers(make):
    naive, lua, cached = (f"redis:discipline={name}" for name in ("get-set", "lua", "cached"))
    swap = {"face": "register", "load": "compare and set"}
    plain = {"face": "register", "load": "read and write"}
    trials = []
    for i, lost in enumerate(({"lost-update": 7}, {})):
        shown = bool(lost)
        trials += [
            make.watched(
                "register", naive, safe=False, shown=shown, rate=9e3, repeat=i, anomalies=lost, **swap
            ),
            make.watched("register", lua, safe=True, shown=False, rate=6e3, repeat=i, **swap),
            make.watched("register", cached, safe=False, shown=False, rate=6e4, repeat=i, **plain),
            make.forced(naive, safe=False, shown=True, repeat=i, **swap),
        ]
    return trials


def test_a_register_has_a_section_with_its_anomalies_its_price_and_both_chances(make):
    (section,) = table.make(make.result(registers(make))).sections
    assert section.title == "A shared register"
    lines = {
        line.cells[1]: dict(zip((head.full for head in section.heads), line.cells, strict=True))
        for block in section.blocks
        for line in block.lines
    }
    naive, lua = lines["redis get-set"], lines["redis lua"]
    assert (naive["anomalies"], naive["observed"], naive["possible"]) == (
        "lost-update 7",
        "1/2 [9–91%]",
        "yes 2/2",
    )
    assert (lua["anomalies"], lua["observed"], lua["possible"]) == ("–", "0/2 [0–66%]", "–")
    assert (naive["price of safety"], lua["price of safety"]) == ("–", "×1.5")
    assert (naive["verdict"], lua["verdict"]) == ("unsafe", "kept")


def test_registers_under_another_load_are_no_rivals(make):
    found = {row.mode: row for row in rows(registers(make))}
    assert found["lua"].safety_price == 1.5
    blocks = table.make(make.result(registers(make))).sections[0].blocks
    assert [block.title for block in blocks] == [
        "A shared register: safe disciplines · compare and set",
        "A shared register: unsafe disciplines · compare and set",
        "A shared register: unsafe disciplines · read and write",
    ]


def test_a_lock_has_a_section_of_its_own_and_its_operations_in_the_csv(make):
    lock = make.watched("lock", "value:discipline=lock", face="lock", safe=True, shown=False, rate=5.0)
    shown = table.make(make.result([lock, *row_trials(make, shown=True)]))
    assert [section.title for section in shown.sections] == ["A shared counter", "A lock"]
    header, line = report_csv.render(make.result([lock])).splitlines()
    flat = dict(zip(header.split(","), line.split(","), strict=True))
    assert (flat["kind"], flat["operations_per_s_median"], flat["race_high"][:4]) == ("lock", "5.0", "0.79")


def test_a_race_that_broke_a_safe_lock_is_told_and_ends_the_run_with_1(make):
    found = ["two-holders 3"]
    broken = make.watched("lock", "value:discipline=lock", face="lock", safe=True, shown=True, broken=found)
    result = make.result([broken])
    assert exit_code(result) == 1
    assert "value:discipline=lock 2×: two-holders 3" in table.make(result).problems


def row_trials(make, *, shown):
    return [
        *(naive(make, lost=0, repeat=i) for i in range(2)),
        make.forced("value:discipline=naive", shown=shown, safe=False),
    ]


def cell(make, trials, column):
    (section,) = table.make(make.result(trials)).sections
    place = [head.full for head in section.heads].index(column)
    return section.blocks[0].lines[0].cells[place]


def test_a_run_of_which_all_was_refused_has_shown_nothing(make):
    refused = crash(refused="not ours")
    assert exit_code(make.result([refused, refused])) == 3
    assert exit_code(make.result([refused, crash()])) == 0
