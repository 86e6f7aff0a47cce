"""Keeps the results of a comparison in turns: the new side as a run, the other side beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ipclab.errors import ResultsError
from ipclab.gate.interleaved import Pair
from ipclab.report import markdown
from ipclab.results.store import Store, write_atomically

AGAINST = "against.json"


def keep(store: Store, pair: Pair) -> Path:
    """Store both sides, and return the folder. Raise ResultsError.

    ``ipclab compare FOLDER/against.json FOLDER`` compares them again.
    """
    run = store.begin(pair.new)
    run.finish(pair.new, markdown.render(pair.new))
    try:
        write_atomically(run.folder / AGAINST, msgspec.json.encode(pair.old))
    except OSError as error:
        raise ResultsError(f"{run.folder / AGAINST} cannot be written: {error.strerror or error}") from error
    return run.folder
