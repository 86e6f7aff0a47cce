"""Every number that the documents give about races, faults and calls of a backend is that of the code."""

from __future__ import annotations

import pytest

from ipclab.backends import shared
from ipclab.backends.registry import Variant
from ipclab.results.safety import suffered
from ipclab.trial import outside, strike
from ipclab.trial.scenes import forced_race, loaded_race
from ipclab.trial.spec import TrialSpec
from tests.support.documents import CHECKOUT

SAFETY = " ".join((CHECKOUT / "docs" / "safety.md").read_text().split())
WRITING = " ".join((CHECKOUT / "docs" / "writing-a-backend.md").read_text().split())
BACKENDS = " ".join((CHECKOUT / "docs" / "backends.md").read_text().split())


@pytest.mark.parametrize(
    ("value", "said", "page", "words"),
    [
        (forced_race.WAIT_S, 0.1, SAFETY, "declares itself safe has 0.1 s in which the second process"),
        (loaded_race.MOST_ROUNDS, 1000, SAFETY, "at most 1 000 rounds a process"),
        (shared.BUSY_PAUSE_S, 100e-6, BACKENDS, "tries again every 100 µs"),
        (strike.HELD, 3, SAFETY, "holds up to three messages"),
        (suffered.AGAIN_S, 1, SAFETY, "shown from 1 s on"),
        (outside.CALL_AT_LEAST_S, 5, WRITING, "never less than 5 s"),
        (1 + outside.SLOW_CALLS_OF, 4, WRITING, "gets four times as long"),
        (
            TrialSpec(workload="stream", backend=Variant("pipe")).grace_s,
            20,
            WRITING,
            "20 s in a measured trial",
        ),
    ],
)
def test_a_number_of_the_documents_is_that_of_the_code(
    value: float, said: float, page: str, words: str
) -> None:
    assert value == said
    assert words in page
