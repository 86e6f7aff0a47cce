"""A channel of another package that cannot be made with the options that were asked for is one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Guarantees, Option, Site
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.faults.applicability import kind_of
from ipclab.trial.check import check
from ipclab.trial.spec import TrialSpec


class Fussy(SimpleQueueChannel):
    name = "fussy"
    options = (Option("depth", 1, "at most 3"), Option("loses", 1, "what it declares"))

    def __init__(self, site: Site, **options: Any) -> None:
        super().__init__(site, **options)
        if options.get("depth", 1) > 3:
            raise ValueError("a depth of 3\nat most")

    @property
    def guarantees(self) -> Guarantees:
        if self.chosen["loses"] == 2:
            return "everything"  # type: ignore[return-value]
        return replace(super().guarantees, max_message_bytes=100 // int(self.chosen["loses"]))


ASKED: dict[str, Callable[[Variant], object]] = {
    "a trial": lambda backend: check(TrialSpec(workload="stream", backend=backend, size_bytes=64)),
    "a fault": kind_of,
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("fussy:depth=9", "the backend fussy:depth=9 cannot be made: ValueError: a depth of 3 at most"),
        (
            "fussy:loses=2",
            "the backend fussy:loses=2 declares str 'everything', which is no Guarantees object",
        ),
    ],
)
def test_a_channel_that_cannot_be_made_with_its_options_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, asked: str, backend: str, said: str
) -> None:
    monkeypatch.setattr(registry, "_channels", lambda: {"fussy": Fussy})
    assert ASKED[asked](Variant("fussy")) is not False
    with pytest.raises(UsageError) as caught:
        ASKED[asked](Variant.parse(backend))
    assert str(caught.value) == said
