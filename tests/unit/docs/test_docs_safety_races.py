"""Every number that docs/safety.md gives about races is the number in the code."""

from __future__ import annotations

import pytest

from ipclab.backends import shared
from ipclab.trial.scenes import forced_race, loaded_race
from tests.support.documents import CHECKOUT

SAFETY = " ".join((CHECKOUT / "docs" / "safety.md").read_text().split())
BACKENDS = " ".join((CHECKOUT / "docs" / "backends.md").read_text().split())


@pytest.mark.parametrize(
    ("value", "said", "page", "words"),
    [
        (forced_race.WAIT_S, 0.1, SAFETY, "declares itself safe has 0.1 s in which the second process"),
        (loaded_race.MOST_ROUNDS, 1000, SAFETY, "at most 1 000 rounds a process"),
        (shared.BUSY_PAUSE_S, 100e-6, BACKENDS, "tries again every 100 µs"),
    ],
)
def test_a_number_about_races_is_that_of_the_code(value: float, said: float, page: str, words: str) -> None:
    assert value == said
    assert words in page
