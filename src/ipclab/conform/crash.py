"""Modes of one kind of server in use when it is killed, and after it was started again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ipclab.backends.base import BrokerKind
from ipclab.conform import ends
from ipclab.conform.bench import Bench
from ipclab.conform.ends import Remote, RemoteError
from ipclab.conform.messages import bodies
from ipclab.conform.modes import Mode

SETTLE_S = 3.0
"""A RabbitMQ that is killed within about a second of the declaration of a quorum queue loses the queue."""


class Crash:
    """What became of each of these modes when the server was killed and started again.

    ``channels`` and ``confirmed`` messages by the text of a mode; ``raised``: the error of the first send to
    the killed server, by the same text, where there was one. The server must be the caller's alone.
    """

    def __init__(self, bench: Bench, kind: BrokerKind, used: Sequence[Mode]) -> None:
        self.bench = bench
        self.channels = {str(mode): bench.channel(mode) for mode in used}
        self.confirmed: dict[str, list[bytes]] = {str(mode): [] for mode in used}
        self.raised: dict[str, str] = {}
        producers = [(mode, bench.producer(self.channels[str(mode)])) for mode in used]
        settled_at = time.monotonic() + SETTLE_S * any(map(_settles, used))
        while True:
            for mode, producer in producers:
                self._send(mode, producer)
            if time.monotonic() > settled_at:
                break
        broker = bench.broker_of(kind)
        broker.kill()
        for mode, producer in producers:
            try:
                self._send(mode, producer)
            except RemoteError as error:
                self.raised[str(mode)] = str(error)
        broker.restart()

    def _send(self, mode: Mode, producer: Remote) -> None:
        more = bodies(0, mode.window, first=len(self.confirmed[str(mode)]))
        producer.call(ends.send, more, mode.window)
        self.confirmed[str(mode)] += more


def _settles(mode: Mode) -> bool:
    """Return whether the server needs some time before the queue outlives a kill."""
    return mode.guarantees.durability == "quorum" or mode.guarantees.is_log


def of(bench: Bench, mode: Mode) -> Crash:
    """Return the crash of the server of a mode: the one that the bench shares, or one of its own."""
    if bench.crash_of is not None:
        shared = bench.crash_of(mode)
        assert isinstance(shared, Crash)
        return shared
    assert mode.channel.broker is not None
    return Crash(bench, mode.channel.broker, [mode])
