"""The tools of a scenario: processes, a proxy, logs for its history, and clean-up at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ipclab.backends.base import Site
from ipclab.brokers import kinds
from ipclab.brokers.base import Broker
from ipclab.errors import ChannelError
from ipclab.faults.proxy.handle import Proxy, url_through
from ipclab.history.log import FaultLog, ProcessLog
from ipclab.host.interruptions import ending_blocked
from ipclab.trial.client.child import PATIENCE_S, Child

PROGRAM, OTHER, SERVER, THIRD = 1, 2, 3, 4
NAMES = {
    str(PROGRAM): "program",
    str(OTHER): "other program",
    str(SERVER): "server",
    str(THIRD): "third program",
}
"""The processes of the histories. ``server`` stands for what the lab reads from the server directly."""


class Bench:
    """Belongs to the lab's process, which has no threads. Use as a context manager: at its end no process is
    alive, a paused broker is resumed, and all functions given to ``at_end()`` have been called. Not
    thread-safe."""

    def __init__(self, site: Site, folder: Path, broker: Broker | None = None) -> None:
        self.site = site
        self.folder = folder
        self.broker = broker
        self.logs: list[Path] = []
        self.children: dict[str, Child] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ending_blocked():
            self._ends.close()

    @property
    def url(self) -> str:
        """Return the broker's own address, which may contain a password."""
        return self.site.broker_url

    def name(self, what: str) -> str:
        """Return a name on the broker with the trial's own prefix."""
        return f"{self.site.namespace}:{what}"

    def at_end(self, function: Callable[..., object], *args: Any) -> None:
        """Call this function at the end, whatever happens; the last one registered is called first."""
        self._ends.callback(function, *args)

    def log(self, process: int) -> Path:
        """Return the file of the history in which this process logs."""
        return self._log(f"process-{process}")

    def start(self, name: str, function: Callable[..., Any], *args: Any, forks: bool = False) -> Child:
        """Run ``function(parent, *args)`` in a process of its own; see ``Child``."""
        with ending_blocked():
            child = Child(name, self.folder, self.site.start_method, function, args, forks=forks)
            self.at_end(child.end)
        self.children[name] = child
        return child

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds. Raise ChannelError, naming ``what``, where it does not in time."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise ChannelError(f"gave up after waiting {PATIENCE_S:g} s for {what}")
            time.sleep(0.002)

    def proxy(self) -> tuple[Proxy, str]:
        """Return a proxy for the broker, and the broker's address through it; only connections to that
        address pass through the proxy.
        """
        assert self.broker is not None
        host, port = kinds.get(self.broker.kind).address(self.url)
        assert host is not None
        with ending_blocked():
            proxy = Proxy(host, port, self.site.start_method)
            self.at_end(proxy.close)
        return proxy, url_through(self.url, proxy.port)

    @contextmanager
    def fault(self, name: str, target: str) -> Iterator[None]:
        """Record in the history that the target suffers this fault within the block."""
        faults = FaultLog(self._log("fault"))
        faults.begin(name, target)
        try:
            yield
        finally:
            faults.end(name, target)
            faults.close()

    @contextmanager
    def server(self) -> Iterator[ProcessLog]:
        """Yield the log for what the lab reads from the server after the programs have ended."""
        with ProcessLog(self.log(SERVER), SERVER) as log:
            yield log

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the broker within the block, and always resume it afterwards.

        Only for a broker that the lab started.
        """
        broker = self.broker
        assert broker is not None
        with self.fault("pause", "broker"):
            try:
                broker.pause()
                yield
            finally:
                with ending_blocked():
                    broker.resume()

    def _log(self, name: str) -> Path:
        path = self.folder / f"{name}.history"
        if path not in self.logs:
            self.logs.append(path)
        return path
