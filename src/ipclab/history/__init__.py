"""Histories: what every process asked for and what it was told, on one clock, kept in a file.

``ProcessLog`` writes what one process does, ``merge`` makes the logs of all into ``history.jsonl.gz``,
``read`` reads such a file, strictly, and ``History`` is what the checks of ``ipclab.checks`` take. The format
is described in ``docs/history-format.md``.
"""

from __future__ import annotations

from ipclab.history.columns import Fault, History, Operation
from ipclab.history.format import Header
from ipclab.history.log import ProcessLog
from ipclab.history.reader import parse, read
from ipclab.history.store import merge

__all__ = ["Fault", "Header", "History", "Operation", "ProcessLog", "merge", "parse", "read"]
