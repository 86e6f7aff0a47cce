"""The messages between a crew and its workers; none of them is sent within the measured window.

::

    worker  Ready()                      connected
    parent  Go(start_ns, end_ns)         on the trial's clock
    worker  Done(count, stalled_s, ...)  the role is played; producers stay connected
    parent  Stop(n)                      to a producer: send n stop messages through the channel
    parent  Quit()                       to a producer: close
    parent  Burst(count, ...)            to a logged producer: send so many, then report Done
    parent  Hold(), Withhold(), Release() to a logged consumer: what to do with the next receipt

How a worker begins, returns or fails is said by ``host.child`` for every child process.
"""

from __future__ import annotations

import msgspec


class Ready(msgspec.Struct, frozen=True):
    """The worker is connected and waits for the starting signal."""


class Go(msgspec.Struct, frozen=True):
    """The starting signal: begin at ``start_ns``; send nothing new from ``end_ns`` on."""

    start_ns: int
    end_ns: int


class Stop(msgspec.Struct, frozen=True):
    """Send this many stop messages through the channel."""

    count: int


class Quit(msgspec.Struct, frozen=True):
    """Close and end."""


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """To a logged producer: send ``count`` messages of this size, with a pause after each."""

    count: int
    size_bytes: int
    gap_s: float = 0.0


class Hold(msgspec.Struct, frozen=True):
    """To a logged consumer: after the next receipt wait, without acknowledging it, until ``Release``."""


class Withhold(msgspec.Struct, frozen=True):
    """To a logged consumer: continue to receive, and acknowledge nothing, until ``Release``.

    A consumer that acknowledges in batches does the same.
    """


class Release(msgspec.Struct, frozen=True):
    """To a logged consumer: acknowledge what was received, and continue as before."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The role is done: the number of messages confirmed (or received), or of increments made.

    ``overtaken`` messages no longer counted in the backlog at the end, because a later one had arrived before
    them. ``probes`` were sent although the backlog was full, to find out whether anything arrives.
    ``returned`` jobs whose handler raised were left to the channel to deliver again.
    ``encode_cpu_ns`` and ``decode_cpu_ns`` are the CPU time that the worker spent serialising payloads,
    ``check_cpu_ns`` that of comparing them with what was sent.
    """

    count: int
    stalled_s: float = 0.0
    overtaken: int = 0
    probes: int = 0
    skipped: int = 0
    returned: int = 0
    final: int | None = None
    peak_rss_bytes: int = 0
    encode_cpu_ns: int = 0
    decode_cpu_ns: int = 0
    check_cpu_ns: int = 0
