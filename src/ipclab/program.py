"""Runs the file of an experiment or of a claim by itself, as in ``python experiments/latency.py``.

It leads from such a file up to the command line, so only such files import it. Importing it is cheap: every
process that a claim starts by spawning does it again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ipclab.claims import Claim
    from ipclab.experiment import Experiment


def main(experiment: Experiment) -> NoReturn:
    """Run an experiment with the arguments of this program like ``ipclab run``, and exit."""
    from ipclab.cli import main as command_line

    command_line(["run", experiment.name, *sys.argv[1:]])


def main_of_claim(claim: Claim[Any]) -> NoReturn:
    """Test a claim with the arguments of this program as ``ipclab claims NAME --live`` does, and exit.

    In the process that the lab has started for the claim's experiment, run that experiment instead.
    """
    from ipclab.claims.supervisor import serve

    serve(claim, sys.argv[1:], _note)
    from ipclab.cli import main as command_line

    command_line(["claims", Path(sys.argv[0]).stem, "--live", *sys.argv[1:]])


def _note(line: str) -> None:
    from ipclab.cli.streams import say

    say(line)
