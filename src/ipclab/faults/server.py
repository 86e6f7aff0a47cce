"""The server that holds the messages of a trial, as a fault sees it: killed, frozen, and examined."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.brokers.base import Broker
from ipclab.host import stillness

_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Server:
    """The holder of the messages: a broker, or server processes of the backend's own."""

    broker: Broker | None
    pids: Sequence[int]

    def processes(self) -> tuple[int, ...]:
        """Return the pids of its processes that are visible here; none of a container's."""
        if self.broker is None:
            return tuple(self.pids)
        kind, _, number = self.broker.where.partition(" ")
        return (int(number),) if kind == "pid" else ()

    def is_frozen(self) -> bool:
        """Return whether it certainly stands still.

        For a container, the engine ensures that before ``stop()`` returns.
        """
        return stillness.all_stopped(self.processes())

    def has_ended(self) -> bool:
        """Return whether it has certainly ended; wait a moment for that."""
        if self.broker is None:
            return stillness.all_gone(self.pids)
        deadline = time.monotonic() + stillness.STATE_WITHIN_S
        while self.broker.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def kill(self) -> None:
        """End the server at once; ``restart`` starts a broker again."""
        if self.broker is not None:
            self.broker.kill()
        else:
            self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the server to end: a broker is shut down in good order, a helper process gets SIGTERM."""
        if self.broker is not None:
            self.broker.shut_down()
        else:
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Freeze the server."""
        if self.broker is not None:
            self.broker.pause()
        else:
            self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume the server."""
        if self.broker is not None:
            self.broker.resume()
        else:
            with contextlib.suppress(ProcessLookupError):
                self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            os.kill(pid, number)
