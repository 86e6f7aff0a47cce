"""Latencies between machines in tables and exports: with their bound, or withheld with the reason."""

from __future__ import annotations

from typing import get_args

import msgspec
import numpy as np
import pytest

from ipclab.compare.digest import digest
from ipclab.hosts.clock_bound import Reason, Withheld
from ipclab.report import csv, table
from ipclab.report.columns import choose
from ipclab.report.formats import formatted
from ipclab.report.notes_of_machines import of_machines
from ipclab.results import units
from ipclab.results.encoding import encode
from ipclab.results.reader import parse
from ipclab.results.rows.build import rows
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency, Machines, TrialRecord
from tests.support.records import Make

SAMPLES_NS = np.linspace(1_900_000, 2_100_000, 20_000).astype(np.int64)


def afar(
    make: Make,
    bound_ns: int | None,
    reason: Reason | None = None,
    *,
    near: bool = False,
    repeat: int = 0,
) -> TrialRecord:
    withheld = None if reason is None else Withheld(reason=reason)
    found = None if withheld else summarize(SAMPLES_NS)
    return make.paced(
        "redis-stream",
        SAMPLES_NS.tolist(),
        repeat=repeat,
        spec={"placement": {"producer": [1], "consumer": [2]}},
        machines=Machines(reference=2, machines=[], bound_ns=bound_ns, withheld=withheld),
        latency=Latency(
            end_to_end=found, service=found, same_machine=summarize(SAMPLES_NS // 10) if near else None
        ),
    )


def test_the_bound_of_the_clocks_stands_beside_p99(make: Make) -> None:
    result = make.result([afar(make, 8_512)])
    assert "2.1 ms ±8.6 µs" in formatted(result, "md")
    assert any(note.startswith("±8.6 µs  the largest error") for note in table.make(result).footnotes)


def test_the_largest_bound_of_the_repeats_counts(make: Make) -> None:
    (row,) = rows([afar(make, 8_000), afar(make, 12_001, repeat=1), afar(make, 9_000, repeat=2)])
    assert row.clock_bound_ns == 12_001


def test_a_withheld_latency_has_its_sign_and_the_reason_and_what_needs_no_offset(make: Make) -> None:
    result = make.result([afar(make, 2_510_000, "wide", near=True)])
    shown = formatted(result, "md")
    assert "210 µs ±0" in shown
    assert "2.1 ms" not in shown
    (note,) = (note for note in table.make(result).footnotes if "from one machine to another" in note)
    assert note.startswith(f"{units.WITHHELD}  ")
    assert "±2.6 ms only, more than 10% of the median" in note
    assert any(note.startswith("same machine  ") for note in table.make(result).footnotes)


def test_a_round_trip_is_always_shown_where_the_latency_of_one_way_is_withheld(make: Make) -> None:
    trips = make.ping_pong("redis-stream", 500.0)
    withheld = choose(rows([afar(make, 2_510_000, "wide", near=True), trips]))
    shown = choose(rows([afar(make, 8_512, near=True), trips]))
    for found, optional in ((withheld, False), (shown, True)):
        assert [column.optional for column in found if column.full == "round trip p50"] == [optional]


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_has_words_of_its_own(make: Make, reason: Reason) -> None:
    (row,) = rows([afar(make, None, reason)])
    (note,) = of_machines([row])
    others = [next(of_machines(rows([afar(make, None, one)]))) for one in get_args(Reason)]
    assert others.count(note) == 1


def test_a_withheld_repeat_neither_adds_samples_nor_messages_that_never_came(make: Make) -> None:
    late = msgspec.structs.replace(
        afar(make, None, "contradicted", repeat=1), latency=Latency(skipped_sends=10_000)
    )
    (row,) = rows([afar(make, 9_000), late])
    assert row.end_to_end is not None
    assert row.end_to_end.count == len(SAMPLES_NS)
    assert row.end_to_end.p99_ns is not None
    assert row.one_way_withheld == "contradicted"


def test_a_round_trip_is_not_compared_in_place_of_a_withheld_latency(make: Make) -> None:
    trip = make.ping_pong("redis-stream", 500.0)
    trip = msgspec.structs.replace(
        trip, spec=msgspec.structs.replace(trip.spec, placement={"producer": [1], "consumer": [2]})
    )
    found = digest(make.result([afar(make, 2_000_000, "wide"), trip]))
    assert all("p50" not in one.values for one in found.rows)


def test_the_figures_of_machines_are_in_every_export_and_are_read_again(make: Make) -> None:
    result = make.result([afar(make, 8_512, near=True)])
    assert parse(encode(result), "it") == result
    columns = csv.render(result).splitlines()[0].split(",")
    assert {"clock_bound_ns", "same_machine_p99_ns"} <= set(columns)


def test_a_result_of_one_machine_has_no_field_of_several(make: Make) -> None:
    result = make.result([make.paced("redis-stream", SAMPLES_NS.tolist())])
    assert b"same_machine" not in encode(result)
    assert b"machines" not in encode(result)
    assert "clock_bound_ns" not in csv.render(result)
