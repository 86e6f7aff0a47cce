"""The control channel between a supervisor and one of its processes.

A ``Link`` carries whole messages, in order, both ways. The local pipe is one implementation. Another one,
such as a connection to another machine, needs these five methods and nothing else.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from ipclab.host.start_methods import Context


class Link(Protocol):
    """One end of a control channel. Not thread-safe; a forked child must not use its copy of this end."""

    def send(self, message: Any, /) -> None:
        """Send one message. Raise OSError where the other end is gone."""

    def recv(self) -> Any:
        """Wait for the next message and return it. Raise EOFError or OSError where the other end is gone."""

    def poll(self, timeout: float = 0.0, /) -> bool:
        """Return whether ``recv()`` has something to return or to raise within ``timeout`` seconds."""

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable with the next message."""

    def close(self) -> None:
        """Close this end; a second call does nothing."""


def local_pipe(context: Context) -> tuple[Link, Link]:
    """Return both ends of a pipe on this machine; either end may be an argument of a new process."""
    ours, theirs = context.Pipe()
    return cast(Link, ours), cast(Link, theirs)
