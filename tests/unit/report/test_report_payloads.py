"""How tables show payloads, and that tables of plain bytes look as before."""

from __future__ import annotations

import csv
import io
from typing import Any

from ipclab.compare.digest import digest
from ipclab.report import csv as report_csv
from ipclab.report import heading, table
from ipclab.report.html.run import gather
from ipclab.results import units
from ipclab.trial.record import Serialising

SPENT = Serialising(encode_us_per_message=300.0, decode_us_per_message=100.0)
SENT = {"payload": "file:/home/me/jobs.jsonl", "codec": "json", "smallest_bytes": 2048, "size_bytes": 20480}


def headers(result: Any) -> list[str]:
    return [head.full for section in table.make(result).sections for head in section.heads]


def test_payload_sizes_and_serialising_have_columns_only_where_there_are_any(make: Any) -> None:
    plain = make.stream("pipe", 1000.0)
    sent = make.stream("queue", 1000.0, spec=SENT, serialising=SPENT)
    before = headers(make.result([plain]))
    assert not {"payload and codec", "size", "serialising, share of the workers' CPU time"} & {*before}
    after = headers(make.result([plain, sent]))
    assert {"payload and codec", "size", "serialising, share of the workers' CPU time"} <= {*after}


def test_a_csv_of_plain_bytes_has_no_column_for_payloads(make: Any) -> None:
    def columns(*trials: Any) -> list[str]:
        text = report_csv.render(make.result(list(trials)))
        return next(csv.reader(io.StringIO(text)))

    plain = make.stream("pipe", 1000.0)
    sent = make.stream("queue", 1000.0, spec=SENT, serialising=SPENT)
    more = {*columns(plain, sent)} - {*columns(plain)}
    assert {"payload", "codec", "smallest_bytes", "serialising_share_median"} <= more
    assert "segments_left" not in more


def test_a_row_is_named_with_its_payload_and_without_the_folder_of_its_file(make: Any) -> None:
    result = make.result([make.stream("pipe", 1000.0), make.stream("queue", 1000.0, spec=SENT)])
    run = gather(result)
    assert sorted(run.label(row) for row in run.rows) == ["pipe", "queue file:jobs.jsonl json"]
    assert [row.key.text for row in digest(result).rows] == [
        "pipe 1→1 1 KiB",
        "queue 1→1 file:jobs.jsonl json 2–20 KiB",
    ]


def test_a_range_of_sizes_names_a_unit_once_where_both_have_it() -> None:
    assert units.sizes(2048, 20480) == "2–20 KiB"
    assert units.sizes(64, 20480) == "64 B–20 KiB"
    assert units.sizes(64, 64) == "64 B"


def test_the_heading_names_the_sizes_of_each_payload_once(make: Any) -> None:
    specs = [
        {"size_bytes": 64},
        {"size_bytes": 2048, "payload": "dict"},
        {"size_bytes": 2**20, "payload": "dict"},
    ]
    result = make.result([make.stream("queue", 1000.0, spec=spec) for spec in specs])
    assert "messages of 64 B; 2 KiB and 1 MiB of dict, window 1" in "\n".join(heading.lines(result))
