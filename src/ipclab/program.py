"""Runs the file of an experiment by itself, as in ``python experiments/latency.py``.

It leads from an experiment up to the command line, so only such files import it.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from ipclab.experiment import Experiment


def main(experiment: Experiment) -> NoReturn:
    """Run an experiment with the arguments of this program like ``ipclab run``, and exit."""
    from ipclab.cli import main as command_line

    command_line(["run", experiment.name, *sys.argv[1:]])
