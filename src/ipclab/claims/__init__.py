"""The claims of study notes about processes, threads and sharing, each settled by one experiment.

A claim is a file in ``experiments/claims/``. It states the claim, runs real processes, and derives the
verdict from what that run showed::

    CLAIM = claim(experiment, verdict, show, number=4, section="locks", …)

    if __name__ == "__main__":
        main_of_claim(CLAIM)

where ``main_of_claim`` is from ``ipclab.program``.

Importing this package is cheap, because every spawned process of a claim imports it again.
"""

from ipclab.claims.base import (
    SECTIONS,
    Claim,
    NotRunError,
    Row,
    Section,
    Source,
    Verdict,
    VerdictKind,
    claim,
    holds,
    holds_when,
    joined,
    refuted,
)
from ipclab.claims.bench import Bench
from ipclab.claims.child import PATIENCE_S, Child, Fate
from ipclab.claims.share import Share
from ipclab.claims.text import Text
from ipclab.claims.timeline import Timeline

__all__ = [
    "PATIENCE_S",
    "SECTIONS",
    "Bench",
    "Child",
    "Claim",
    "Fate",
    "NotRunError",
    "Row",
    "Section",
    "Share",
    "Source",
    "Text",
    "Timeline",
    "Verdict",
    "VerdictKind",
    "claim",
    "holds",
    "holds_when",
    "joined",
    "refuted",
]
