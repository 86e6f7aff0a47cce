"""Runs the file of an experiment by itself, as in ``python experiments/latency.py``.

This is the way up from an experiment to the command line, so nothing but such files imports it.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from ipclab.experiment import Experiment


def main(experiment: Experiment) -> NoReturn:
    """Run an experiment with the arguments of this program as ``ipclab run`` does, and exit."""
    from ipclab.cli import main as command_line

    command_line(["run", experiment.name, *sys.argv[1:]])
