"""The claims on the page: a card for each, with its verdict and evidence, in the language of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "mild", "doubt", "worst"]


@dataclass(frozen=True, slots=True)
class ClaimCard:
    """``verdict`` is in words; ``tone`` is ``worst`` where it is not the one that is recorded or the
    experiment failed, ``doubt`` where it was not run. ``evidence`` has what was measured and its value."""

    number: int
    name: str
    statement: str
    verdict: str
    mark: str
    tone: Tone
    evidence: tuple[tuple[str, str], ...]
    practice: str
