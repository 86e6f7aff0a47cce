"""Putting off signals that end the lab, where an end in the middle would leave something behind."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

ENDING = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
"""What ends the lab: Ctrl-C, being told to end, and the closing of its terminal."""


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Put off Ctrl-C for a moment. A process started meanwhile inherits the block and so never sees one."""
    with _blocked({signal.SIGINT}):
        yield


@contextlib.contextmanager
def ending_blocked() -> Iterator[None]:
    """Put off every signal that ends the lab. Start no process meanwhile: it could not be told to end."""
    with _blocked(ENDING):
        yield


@contextlib.contextmanager
def _blocked(numbers: set[signal.Signals] | frozenset[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
