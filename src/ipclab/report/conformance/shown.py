"""What a report about the conformance of backends shows."""

from __future__ import annotations

from dataclasses import dataclass

from ipclab.conform.outcome import Conformance
from ipclab.exit_codes import ExitCode
from ipclab.results.result import Result
from ipclab.results.verdict import exit_code


@dataclass(frozen=True, slots=True)
class Shown:
    """The outcome of the suite, and the result of the crash matrix where that was asked for."""

    conformance: Conformance
    crash: Result | None = None

    @property
    def exit_code(self) -> ExitCode:
        """Return 1 where anything is broken, else 3 where anything is undecided, else 0."""
        codes = {self.conformance.exit_code}
        if self.crash is not None:
            codes.add(ExitCode(exit_code(self.crash)))
        for code in (ExitCode.BROKEN, ExitCode.UNKNOWN):
            if code in codes:
                return code
        return ExitCode.SUCCESS
