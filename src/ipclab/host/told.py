"""Separates requests to end this process from errors of foreign code."""

from __future__ import annotations

from ipclab.host.interruptions import EndedBySignal


def reraise_own_end(error: BaseException) -> None:
    """Raise ``error`` again where it is a request to end this process; return for every error of a backend.

    ``SystemExit`` is an error of a backend: the lab itself never raises it within a trial.
    """
    if isinstance(error, KeyboardInterrupt | EndedBySignal):
        raise error
