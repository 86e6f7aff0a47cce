"""Scales, labels and marks of pictures: pure functions from values to SVG."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.report.family import FAMILIES
from ipclab.report.html.svg import axis, label
from ipclab.report.html.svg.element import draw, number
from ipclab.report.html.svg.mark import draw_mark
from ipclab.report.html.svg.scale import Linear, Log, Nines, spanning

POSITIVE = st.floats(min_value=1e-9, max_value=1e12)


def test_a_decade_is_as_wide_as_any_other() -> None:
    scale = Log(1.0, 1000.0, 0.0, 300.0)
    assert [scale(value) for value in (1.0, 10.0, 100.0, 1000.0)] == pytest.approx([0, 100, 200, 300])
    assert scale.ticks() == [1.0, 10.0, 100.0, 1000.0]


def test_what_lies_beyond_a_scale_is_at_its_end() -> None:
    assert Log(1.0, 10.0, 5.0, 9.0)(0.0) == 5.0
    assert Log(1.0, 10.0, 5.0, 9.0)(1e9) == 9.0
    assert Linear(0.0, 1.0, 5.0, 9.0)(2.0) == 9.0
    assert Nines(0.99, 5.0, 9.0)(0.9999) == pytest.approx(9.0)


def test_each_nine_is_as_wide_as_any_other() -> None:
    scale = Nines(0.999, 0.0, 300.0)
    assert [scale(share) for share in (0.0, 0.9, 0.99, 0.999)] == pytest.approx([0, 100, 200, 300])
    assert scale.ticks() == [0.0, 0.5, 0.9, 0.99, 0.999]


@given(st.lists(POSITIVE, min_size=1))
def test_a_scale_spans_all_of_its_values(values: list[float]) -> None:
    scale = spanning(values, 0.0, 100.0)
    assert scale.low <= min(values) * (1 + 1e-6)
    assert scale.high >= max(values) * (1 - 1e-6)
    assert len(scale.ticks()) >= 2
    assert all(0.0 <= scale(value) <= 100.0 for value in values)


@given(st.lists(POSITIVE, min_size=2, max_size=2))
def test_a_larger_value_is_never_farther_left(values: list[float]) -> None:
    scale = spanning(values, 0.0, 100.0)
    low, high = sorted(values)
    assert scale(low) <= scale(high)


def test_a_scale_without_values_can_be_drawn() -> None:
    assert spanning([0.0, float("nan")], 0.0, 1.0).ticks() == [1.0, 10.0]


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=12))
def test_labels_keep_apart_and_in_order(wanted: list[float]) -> None:
    found = label.apart(wanted, [10.0] * len(wanted), 0.0, 110.0)
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], place))
    places = [found[place] for place in order]
    assert all(b - a >= 10.0 - 1e-6 for a, b in itertools.pairwise(places))
    assert min(places, default=0.0) >= -1e-6
    assert max(places, default=0.0) <= max(100.0, 10.0 * (len(wanted) - 1)) + 1e-6


def test_labels_that_do_not_touch_stay_where_they_are() -> None:
    assert label.apart([10.0, 50.0], [10.0, 40.0], 0.0, 100.0) == [10.0, 50.0]


def test_a_tall_label_takes_its_room() -> None:
    assert label.apart([10.0, 12.0, 13.0], [30.0, 10.0, 10.0], 0.0, 100.0) == [10.0, 40.0, 50.0]


@given(st.text(alphabet="abc WM=-", max_size=80), st.integers(min_value=30, max_value=200))
def test_no_line_is_wider_than_its_room_and_no_character_is_lost(text: str, room: int) -> None:
    lines = label.wrapped(text, room, 12.0)
    assert all(label.width(line, 12.0) <= room for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_labels_of_an_axis_do_not_touch() -> None:
    crowded = Log(1.0, 1e12, 0.0, 60.0)
    drawn = axis.upright(crowded, 0.0, 10.0, lambda value: f"{value:g}")
    assert sum("<line" in part for part in drawn) == 13
    assert sum("<text" in part for part in drawn) < 6


def test_every_family_has_a_shape_that_can_be_drawn_solid_and_hollow() -> None:
    for one in FAMILIES:
        assert 'class="hollow"' in draw_mark(one.shape, 5, 5, hollow=True)
        assert draw_mark(one.shape, 5, 5).startswith(("<circle", "<rect", "<polygon"))


def test_text_and_attributes_are_escaped() -> None:
    assert draw("text", {"x": 1.0, "class": '"><script>'}, "<b>&") == (
        '<text x="1" class="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;</text>'
    )


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (1.25, "1.2"), (-0.01, "0"), (1234.56, "1234.6")])
def test_coordinates_are_short_and_the_same_everywhere(value: float, text: str) -> None:
    assert number(value) == text
