"""Stdout and stderr in any state: closed, without a reader, or with a narrow encoding.

``put`` writes data, ``say`` everything else. A reader that has gone does not end a command: the result of the
command decides its exit code, not whether somebody still reads.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import IO, Any, TextIO, cast

import click


def prepare() -> None:
    """Make both streams ready for writing.

    A closed stream is replaced by one that leads nowhere, and a character that an encoding lacks is replaced.
    """
    for number in range(3):
        _open_on_null(number)
    # Open until the process ends, like the streams that they replace.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


_apart: TextIO | None = None
"""Where data goes while foreign code may write to stdout; see ``data_apart``."""


def out() -> TextIO:
    """Return the stream that ``put`` writes to, to find out whether it is a terminal and how wide it is."""
    return _apart or sys.stdout


def width(default: int = 120) -> int:
    """Return how many columns of text there are for data: what ``COLUMNS`` says, else the terminal's.

    A pipe counts as the terminal that stderr is on, since what reads it, such as ``less``, shows it there. A
    file, and a pipe without a terminal, have the default.
    """
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    with contextlib.suppress(OSError, ValueError):
        if out().isatty():
            return os.get_terminal_size(out().fileno()).columns or default
        if stat.S_ISFIFO(os.fstat(out().fileno()).st_mode) and sys.stderr.isatty():
            return os.get_terminal_size(sys.stderr.fileno()).columns or default
    return default


@contextlib.contextmanager
def data_apart() -> Iterator[None]:
    """Keep stdout for ``put`` alone: what a backend, its threads and its processes print goes to stderr.

    File descriptor 1 leads to stderr within the block, so that this holds for programs and for C libraries
    too, and for every worker, however it is started. Do not nest it; use it in the main thread only.
    """
    global _apart
    stdout = sys.stdout
    try:
        number = stdout.fileno()
        stdout.flush()
        kept = os.dup(number)
    except (OSError, ValueError):
        # Stdout was replaced by an object without a descriptor: only Python's own output can be redirected.
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
        # Closing flushes what is left in a buffer, which fails where the reader has gone.
        with contextlib.suppress(OSError):
            _apart.flush()
        os.dup2(kept, number)
        with contextlib.suppress(OSError):
            _apart.close()
        _apart, sys.stdout = None, stdout


def put(data: str | bytes = "", *, nl: bool = True) -> None:
    """Write data to stdout, bytes unchanged. Where its reader has gone, drop this and all later data.

    Raise ResultsError where it cannot be written for another reason.
    """
    try:
        click.echo(data, file=out(), nl=nl)
    except BrokenPipeError:
        _redirect_to_null(out())
    except OSError as error:
        from ipclab.errors import ResultsError

        _redirect_to_null(out())
        raise ResultsError(f"cannot write to stdout: {error.strerror}") from error


def say(line: str) -> None:
    """Write a clean line to stderr, if it has a reader. Never raise OSError."""
    from ipclab.host.text import clean

    tell(f"ipclab: {clean(line)}\n")


def tell(text: str) -> None:
    """Write text unchanged to stderr, if it has a reader. Never raise OSError."""
    try:
        click.echo(text, err=True, nl=False)
    except OSError:
        _redirect_to_null(sys.stderr)


def unfailing(stream: TextIO) -> IO[str]:
    """Return the stream for a library that writes to it by itself; what cannot be written is dropped."""
    return cast("IO[str]", _Unfailing(stream))


class _Unfailing:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _redirect_to_null(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _redirect_to_null(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_on_null(number: int) -> None:
    """Open a closed file descriptor on the null device. Otherwise the next file or socket of the lab would
    get it, and the output of every started program would go there."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)


def _redirect_to_null(stream: TextIO) -> None:
    """Redirect a stream to the null device; its buffer would fail again when Python ends (code 120)."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
