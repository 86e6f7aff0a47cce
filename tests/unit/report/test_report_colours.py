"""The colours of the families can be seen and told apart, by everybody, on both grounds."""

from __future__ import annotations

import itertools

import pytest

from ipclab.report import family
from ipclab.report.family import FAMILIES
from ipclab.report.html.style import GROUNDS, PANELS, Theme, variables
from tests.support.colours import DEFICIENCIES, contrast, difference, seen

THEMES: tuple[Theme, ...] = ("light", "dark")
SIGHTS = (None, *DEFICIENCIES)


def colours(theme: Theme) -> dict[str, str]:
    return {one.name: one.light if theme == "light" else one.dark for one in FAMILIES}


def test_black_on_white_has_the_contrast_that_the_standard_names() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_is_that_of_the_published_pairs(
    one: tuple[float, float, float], other: tuple[float, float, float], expected: float
) -> None:
    assert difference(one, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("theme", THEMES)
def test_every_family_stands_out_from_the_ground(theme: Theme) -> None:
    for colour in colours(theme).values():
        assert contrast(colour, GROUNDS[theme]) >= 3
        assert contrast(colour, PANELS[theme]) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_families_are_told_apart_with_every_kind_of_colour_vision(theme: Theme, sight: str | None) -> None:
    for one, other in itertools.combinations(colours(theme).values(), 2):
        assert difference(seen(one, sight), seen(other, sight)) >= 8


@pytest.mark.parametrize("theme", THEMES)
def test_text_on_its_ground_can_be_read(theme: Theme) -> None:
    found = dict(part.split(":") for part in variables(theme).removeprefix("--").rstrip(";").split(";--"))
    for tone in ("good", "mild", "doubt", "bad", "worse", "worst"):
        assert contrast(found[tone], found[f"{tone}-ground"]) >= 4.5
    for name in ("ink", "soft", "link", "alarm", "good", "mild"):
        assert contrast(found[name], found["ground"]) >= 4.5
        assert contrast(found[name], found["panel"]) >= 4.5


def test_no_two_families_share_a_shape_or_a_sign() -> None:
    for field in ("name", "shape", "sign"):
        assert len({getattr(one, field) for one in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("joinable-queue", "local"),
        ("value", "memory"),
        ("manager-dict", "manager"),
        ("redis", "redis"),
        ("redis-list-reliable", "redis"),
        ("rabbitmq-quorum", "rabbitmq"),
        ("memcached-ticket", "memcached"),
        ("redistribution", "other"),
        ("of-somebody-else", "other"),
    ],
)
def test_the_family_of_a_backend_follows_from_its_name(backend: str, name: str) -> None:
    assert family.of(backend).name == name
