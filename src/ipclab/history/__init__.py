"""Histories: the operations of every process and their answers, on one clock, stored in a file.

``ProcessLog`` writes what one process does, ``merge`` merges the logs of all into ``history.jsonl.gz``,
``read`` reads such a file, strictly, and ``History`` is the input of the checks in ``ipclab.checks``. The
format is described in ``docs/history-format.md``.
"""

from __future__ import annotations

from ipclab.history.columns import Fault, History, Operation
from ipclab.history.format import Header
from ipclab.history.log import ProcessLog
from ipclab.history.reader import parse, read
from ipclab.history.store import merge

__all__ = ["Fault", "Header", "History", "Operation", "ProcessLog", "merge", "parse", "read"]
