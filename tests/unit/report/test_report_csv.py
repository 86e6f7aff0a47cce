"""The CSV has every field of a row and of a cell, or names it as left out."""

from __future__ import annotations

import csv
import io

import pytest

from ipclab.report import csv as report_csv
from ipclab.results.rows.row import Figure, Messages, Percentiles, Race, Row, Updates
from ipclab.results.safety.cells import Cell

LEFT_OUT = report_csv.LEFT_OUT


def has_columns(name: str, columns: list[str]) -> bool:
    return name in columns or any(column.startswith(f"{name}_") for column in columns)


@pytest.mark.parametrize(("struct", "columns"), [(Row, "row_columns"), (Cell, "cell_columns")])
def test_every_field_is_a_column_or_is_named_as_left_out(struct, columns):
    shown = getattr(report_csv, columns)()
    for field in struct.__struct_fields__:
        assert has_columns(field, shown) != (field in LEFT_OUT[struct]), field


@pytest.mark.parametrize("struct", [Percentiles, Messages, Updates, Race])
def test_every_part_of_a_field_is_a_column_or_is_named_as_left_out(struct):
    columns = report_csv.row_columns()
    holders = [name for name in Row.__struct_fields__ if report_csv.part_type(Row, name) is struct]
    assert holders
    for holder in holders:
        for part in struct.__struct_fields__:
            assert (f"{holder}_{part}" in columns) != (part in LEFT_OUT.get(struct, {})), (holder, part)


def test_a_figure_has_its_median_its_spread_and_the_number_of_its_values():
    columns = report_csv.row_columns()
    for name in Row.__struct_fields__:
        if report_csv.part_type(Row, name) is Figure:
            assert {f"{name}_median", f"{name}_spread_ratio", f"{name}_repeats"} <= set(columns)


def test_nothing_is_named_as_left_out_that_does_not_exist():
    for struct, names in LEFT_OUT.items():
        assert names.keys() <= set(struct.__struct_fields__)
        assert all(names.values())


def test_a_field_of_an_object_that_is_not_left_out_becomes_a_column_by_itself():
    class Longer(Percentiles, frozen=True, kw_only=True):
        p9999_ns: int | None = None

    assert "p9999_ns" in report_csv.fields(Longer)


def test_the_values_stand_under_their_columns(make):
    trial = make.stream("queue", 5.0, ledger=make.ledger(attempted=7, confirmed=6, received=5, lost=1))
    (line,) = csv.DictReader(io.StringIO(report_csv.render(make.result([trial]))))
    found = {name: line[f"messages_{name}"] for name in ("attempted", "confirmed", "received", "lost")}
    assert found == {"attempted": "7", "confirmed": "6", "received": "5", "lost": "1"}
    assert (line["goodput_per_s_median"], line["goodput_per_s_repeats"]) == ("5.0", "1")
