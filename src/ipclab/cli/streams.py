"""Stdout and stderr, whatever became of them: closed, left by their reader, or of a narrow encoding.

Data goes out by ``put``, everything else by ``say``. Neither lets a reader that has gone end a command: what
the command finds out decides its exit code, not who is still listening.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import IO, Any, TextIO, cast

import click


def prepare() -> None:
    """Make both streams fit to be written to.

    One that was closed leads nowhere from now on, and a character that an encoding does not have is replaced.
    """
    for number in range(3):
        _occupy(number)
    # Open until the process ends, as the streams in whose place they stand.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


_apart: TextIO | None = None
"""Where data goes while code of others may write to stdout; see ``data_apart``."""


def out() -> TextIO:
    """Return the stream that ``put`` writes to, for the questions whether it is a terminal and how wide."""
    return _apart or sys.stdout


@contextlib.contextmanager
def data_apart() -> Iterator[None]:
    """Keep stdout for ``put`` alone: what a backend, its threads and its processes print goes to stderr.

    File descriptor 1 leads to stderr meanwhile, so that this holds for programs and for libraries in C too,
    and for every worker, however it is started. Not to be nested, and for the main thread only.
    """
    global _apart
    stdout = sys.stdout
    try:
        number = stdout.fileno()
        stdout.flush()
        kept = os.dup(number)
    except (OSError, ValueError):
        # Something stands in its place that is no file: only what Python prints can be led away.
        _apart, sys.stdout = stdout, sys.stderr
        try:
            yield
        finally:
            _apart, sys.stdout = None, stdout
        return
    os.dup2(sys.stderr.fileno(), number)
    _apart = open(kept, "w", encoding=stdout.encoding, errors=stdout.errors)  # noqa: SIM115 - closed below
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        # Closing hands over what is left in a buffer, which fails where the reader has gone.
        with contextlib.suppress(OSError):
            _apart.flush()
        os.dup2(kept, number)
        with contextlib.suppress(OSError):
            _apart.close()
        _apart, sys.stdout = None, stdout


def put(data: str | bytes = "", *, nl: bool = True) -> None:
    """Write data to stdout, bytes as they are. Where its reader has gone, it and all that follows is dropped.

    Raises ResultsError where it cannot be written for another reason.
    """
    try:
        click.echo(data, file=out(), nl=nl)
    except BrokenPipeError:
        _drop(out())
    except OSError as error:
        from ipclab.errors import ResultsError

        _drop(out())
        raise ResultsError(f"cannot write to stdout: {error.strerror}") from error


def say(line: str) -> None:
    """Say a clean line on stderr, if anybody listens. Never raises OSError."""
    from ipclab.host.text import clean

    tell(f"ipclab: {clean(line)}\n")


def tell(text: str) -> None:
    """Write text to stderr as it is, if anybody listens. Never raises OSError."""
    try:
        click.echo(text, err=True, nl=False)
    except OSError:
        _drop(sys.stderr)


def unfailing(stream: TextIO) -> IO[str]:
    """Return the stream, for a library that writes to it by itself: what cannot be written is dropped."""
    return cast("IO[str]", _Unfailing(stream))


class _Unfailing:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _drop(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _drop(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _occupy(number: int) -> None:
    """Open a file descriptor on nothing, if it is closed: the next file or socket of ours would get it, and
    the output of every program that is started would go there."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)


def _drop(stream: TextIO) -> None:
    """Lead a stream nowhere. What it still holds would otherwise fail again when Python ends, as code 120."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
