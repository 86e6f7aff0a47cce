"""Reads files of other programs within bounds, and checks files to write; never blocks on a special file.

A FIFO without its other end, a device or a directory is refused before it is opened for good. All functions
raise OSError with a ``strerror`` that says what is wrong.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading. Raise OSError for any other file, also where it cannot be read."""
    # Without O_NONBLOCK, opening a FIFO without a writer waits for ever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        _require_regular(path, os.fstat(number).st_mode)
        os.set_blocking(number, True)
        yield file


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file. Raise OSError for any other file, and above ``most`` bytes."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""
        if size > most or len(data) > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
        return data


def require_writable(path: Path) -> bool:
    """Raise OSError where ``path`` cannot be written as a file; return whether it existed before.

    A device such as /dev/stdout may be written; a FIFO may not, because that waits for a reader.
    """
    number = -1
    there = path.exists()
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        mode = os.fstat(number).st_mode
        if stat.S_ISFIFO(mode) and not _is_own_descriptor(path):
            raise OSError(errno.EINVAL, "it is a FIFO, which waits for its reader")
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "it is a FIFO, which waits for its reader") from error
        raise
    finally:
        if number >= 0:
            os.close(number)
    return there


def _is_own_descriptor(path: Path) -> bool:
    """Return whether the path names an open file of this process, as the shell's ``>(command)`` does."""
    return str(path).startswith(("/dev/fd/", "/proc/self/fd/", "/dev/std"))


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = "a FIFO" if stat.S_ISFIFO(mode) else "no regular file"
        raise OSError(errno.EINVAL, f"it is {kind}; copy what it gives into a file", str(path))
