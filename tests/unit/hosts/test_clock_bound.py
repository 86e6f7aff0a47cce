"""The bound of a remote clock: with a known offset, drift and asymmetry, the truth is always within it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.hosts.clock_bound import (
    MAX_DRIFT_PPM,
    SAME_CLOCK,
    ClockMap,
    Echo,
    OffsetBound,
    Withheld,
    bound_of,
    is_one_clock,
    line,
    pair_bound_ns,
    too_wide,
)

START_NS = 7_000_000_000
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Truth:
    """A remote clock whose offset at ``START_NS`` and whose drift are known."""

    offset_ns: int
    drift_ppm: int = 0

    def offset_at(self, reference_ns: int) -> Fraction:
        return self.offset_ns + Fraction((reference_ns - START_NS) * self.drift_ppm, 1_000_000)

    def remote_ns(self, reference_ns: int) -> int:
        return int(reference_ns + self.offset_at(reference_ns) // 1)

    def echo(self, sent_ns: int, there_ns: int, back_ns: int) -> Echo:
        return Echo(sent_ns, self.remote_ns(sent_ns + there_ns), sent_ns + there_ns + back_ns)

    def burst(self, from_ns: int, delays: list[tuple[int, int]]) -> list[Echo]:
        echoes = []
        for there_ns, back_ns in delays:
            echoes.append(self.echo(from_ns, there_ns, back_ns))
            from_ns = echoes[-1].received_ns + 1_000
        return echoes


truths = st.builds(
    Truth,
    st.integers(-90_000 * SECOND_NS, 90_000 * SECOND_NS),
    st.integers(-int(MAX_DRIFT_PPM), int(MAX_DRIFT_PPM)),
)
delay = st.one_of(st.integers(5_000, 100_000), st.integers(5_000, 10_000_000))
delays = st.lists(st.tuples(delay, delay), min_size=1, max_size=12)


def measured(truth: Truth, from_ns: int, ways: list[tuple[int, int]]) -> OffsetBound:
    found = bound_of(truth.burst(from_ns, ways))
    assert isinstance(found, OffsetBound)
    return found


@given(truths, delays)
def test_the_true_offset_is_within_the_bound_whatever_the_asymmetry(
    truth: Truth, ways: list[tuple[int, int]]
) -> None:
    found = measured(truth, START_NS, ways)
    assert found.low_ns <= truth.offset_at(found.at_ns) <= found.high_ns + 1
    assert found.shortest_ns == min(there + back for there, back in ways)
    assert found.bound_ns <= found.shortest_ns  # half of it, and what the clocks may drift meanwhile


@given(truths, delays, delays, st.integers(SECOND_NS, 60 * SECOND_NS), st.integers(0, 100), st.data())
def test_a_mapped_stamp_is_within_its_bound_of_the_true_moment(
    truth: Truth,
    first: list[tuple[int, int]],
    last: list[tuple[int, int]],
    length_ns: int,
    percent: int,
    data: st.DataObject,
) -> None:
    before = measured(truth, START_NS, first)
    after = measured(truth, START_NS + length_ns + SECOND_NS, last)
    moment_ns = START_NS + length_ns * percent // 100
    ping = truth.echo(moment_ns, data.draw(delay), data.draw(delay))
    found = line(before, after, [ping])
    assert isinstance(found, ClockMap)
    # Also 3 s before the first burst, and 3 s after the last one, where the bound grows.
    for true_ns in (moment_ns, START_NS - 3 * SECOND_NS, after.at_ns + 3 * SECOND_NS):
        error_ns = abs(found.to_reference_ns(truth.remote_ns(true_ns)) - true_ns)
        assert error_ns <= found.bound_ns(true_ns)
        assert found.bound_ns(true_ns) <= found.largest_bound_ns(
            START_NS - 3 * SECOND_NS, after.at_ns + 3 * SECOND_NS
        )
    assert abs(found.drift_ppm - truth.drift_ppm) <= found.drift_bound_ppm + 0.01


@given(truths, delays, st.integers(0, 10 * SECOND_NS))
def test_before_the_end_a_schedule_is_within_the_bound_that_grows(
    truth: Truth, ways: list[tuple[int, int]], later_ns: int
) -> None:
    only_before = ClockMap(before=measured(truth, START_NS, ways))
    due_ns = START_NS + SECOND_NS + later_ns
    shown_ns = only_before.to_remote_ns(due_ns)
    assert abs(shown_ns - truth.remote_ns(due_ns)) <= only_before.bound_ns(due_ns)
    assert abs(only_before.to_reference_ns(shown_ns) - due_ns) <= 2


@given(truths, delays, delays)
def test_there_and_back_through_the_map_changes_a_reading_by_its_rounding(
    truth: Truth, first: list[tuple[int, int]], last: list[tuple[int, int]]
) -> None:
    found = line(measured(truth, START_NS, first), measured(truth, START_NS + 20 * SECOND_NS, last))
    assert isinstance(found, ClockMap)
    readings = [truth.remote_ns(START_NS + k * SECOND_NS) for k in range(20)]
    assert all(abs(found.to_remote_ns(found.to_reference_ns(r)) - r) <= 2 for r in readings)
    mapped = found.to_reference(np.array(readings, np.int64))
    assert mapped.tolist() == [found.to_reference_ns(r) for r in readings]


def test_the_middle_of_an_uneven_round_trip_is_wrong_and_the_bound_says_so() -> None:
    truth = Truth(5_000 * SECOND_NS)
    found = measured(truth, START_NS, [(5_000_000, 20_000)] * 20)
    assert abs(found.offset_ns - 5_000 * SECOND_NS) > 2_000_000
    assert found.low_ns <= 5_000 * SECOND_NS <= found.high_ns


def test_uneven_echoes_in_both_directions_bound_tighter_than_the_shortest_alone() -> None:
    truth = Truth(123_456)
    found = measured(truth, START_NS, [(10_000, 90_000), (95_000, 10_000)])
    assert found.shortest_ns == 100_000
    assert found.bound_ns < 11_000


def test_no_echo_withholds() -> None:
    assert bound_of([]) == Withheld(reason="no-echo")


def test_a_clock_that_steps_within_a_burst_withholds() -> None:
    echoes = [
        Truth(0).echo(START_NS, 10_000, 10_000),
        Truth(1_000_000).echo(START_NS + 50_000, 10_000, 10_000),
    ]
    found = bound_of(echoes)
    assert isinstance(found, Withheld)
    assert found.reason == "stepped"
    assert found.found > 900_000


def test_a_clock_that_steps_during_the_trial_withholds_as_drift() -> None:
    before = measured(Truth(0), START_NS, [(10_000, 10_000)])
    after = measured(Truth(SECOND_NS), START_NS + 10 * SECOND_NS, [(10_000, 10_000)])
    found = line(before, after)
    assert isinstance(found, Withheld)
    assert (found.reason, found.allowed) == ("drift", MAX_DRIFT_PPM)


def test_a_ping_off_the_line_withholds_and_says_by_how_much() -> None:
    before = measured(Truth(0), START_NS, [(10_000, 10_000)])
    after = measured(Truth(0), START_NS + 10 * SECOND_NS, [(10_000, 10_000)])
    bent = Truth(300_000).echo(START_NS + 5 * SECOND_NS, 10_000, 10_000)
    assert isinstance(line(before, after, [Truth(0).echo(bent.sent_ns, 2_000_000, 9_000)]), ClockMap)
    found = line(before, after, [bent])
    assert isinstance(found, Withheld)
    assert found.reason == "contradicted"
    assert 270_000 < found.found <= 300_000


def test_a_missing_burst_withholds_with_the_reason_of_the_burst() -> None:
    good = measured(Truth(0), START_NS, [(10_000, 10_000)])
    none = Withheld(reason="no-echo")
    assert line(none, good) == none
    assert line(good, none) == none


def test_bursts_in_the_wrong_order_are_an_error_of_the_caller() -> None:
    good = measured(Truth(0), START_NS, [(10_000, 10_000)])
    with pytest.raises(ValueError, match="not later"):
        line(good, good)


def test_the_reference_maps_to_itself_with_no_bound() -> None:
    readings = np.array([1, 5], np.int64)
    assert SAME_CLOCK.to_reference(readings) is readings
    assert (SAME_CLOCK.to_reference_ns(7), SAME_CLOCK.to_remote_ns(7)) == (7, 7)
    assert (SAME_CLOCK.bound_ns(7), SAME_CLOCK.largest_bound_ns(1, 7)) == (0, 0)
    assert (SAME_CLOCK.drift_ppm, SAME_CLOCK.drift_bound_ppm) == (0, 0)
    assert SAME_CLOCK.contradiction(Truth(10**9).echo(START_NS, 1, 1)) == 0


def test_the_bound_of_a_pair_is_the_sum_of_both() -> None:
    one = line(
        measured(Truth(0), START_NS, [(9_000, 9_000)]), measured(Truth(0), START_NS * 2, [(9_000, 9_000)])
    )
    assert isinstance(one, ClockMap)
    alone_ns = one.largest_bound_ns(START_NS, START_NS * 2)
    assert 9_000 <= alone_ns < 9_100
    assert pair_bound_ns(one, SAME_CLOCK, START_NS, START_NS * 2) == alone_ns
    assert pair_bound_ns(one, one, START_NS, START_NS * 2) == 2 * alone_ns


def test_a_bound_above_a_tenth_of_the_median_withholds() -> None:
    assert too_wide(100_000, 1_000_000) is None
    assert too_wide(100_001, 1_000_000) == Withheld(reason="wide", found=100_001, allowed=100_000)
    assert too_wide(1, -5) == Withheld(reason="wide", found=1, allowed=0)
    assert too_wide(0, 0) is None


def test_a_map_is_the_same_after_it_was_stored() -> None:
    found = line(
        measured(Truth(5, 50), START_NS, [(9_000, 8_000)]),
        measured(Truth(5, 50), START_NS * 2, [(9_000, 8_000)]),
    )
    kept = msgspec.json.decode(msgspec.json.encode(found), type=ClockMap | Withheld)
    assert kept == found


def test_echoes_of_one_clock_are_told_from_those_of_a_clock_that_is_only_near() -> None:
    assert is_one_clock(Truth(0).burst(START_NS, [(10_000, 10_000), (20_000, 5_000)]))
    assert not is_one_clock(Truth(30_000).burst(START_NS, [(10_000, 10_000)]))
    assert not is_one_clock([])
