"""What a report about a decision shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.choose.decide import Decision
from ipclab.exit_codes import ExitCode
from ipclab.host.language import Language


@dataclass(frozen=True, slots=True)
class Shown:
    """The decision, the program that uses the chosen backend, and the commands that would close gaps."""

    decision: Decision
    program: str | None
    commands: Sequence[str]
    language: Language = "en"

    @property
    def exit_code(self) -> ExitCode:
        """Return 0 where a backend fits, else 3: none does, or that is not known."""
        return ExitCode.SUCCESS if self.decision.fits else ExitCode.UNKNOWN
