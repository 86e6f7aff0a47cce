"""The formats of a result: each is whole, and each keeps the marks of its own language."""

import csv
import io
import json
import re

import pytest

from ipclab.report import csv as report_csv
from ipclab.report import json as report_json
from ipclab.report import markdown, table, terminal
from ipclab.report.formats import FORMATS, formatted
from ipclab.results.encoding import encode


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
    derived = ("rows", "cells", "capacities", "curves", "jobs")
    assert {key: value for key, value in printed.items() if key not in derived} == json.loads(
        encode(comparison)
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_whole_lines(comparison, name):
    text = formatted(comparison, name)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "redis-stream" in text
