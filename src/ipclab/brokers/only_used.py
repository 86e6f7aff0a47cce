"""A server that the lab uses and does not control: a user's own, or a service beside the lab's container."""

from __future__ import annotations

from abc import abstractmethod
from typing import NoReturn

from ipclab.brokers import probe
from ipclab.brokers.base import EXECUTE_WITHIN_S, Broker, Usage
from ipclab.errors import BrokerUnavailableError, UsageError

_ALIVE_WITHIN_S = 2.0


class OnlyUsedBroker(Broker):
    """Answers what its clients can ask, and raises UsageError for everything that acts on the server."""

    @abstractmethod
    def _refusal(self, what: str) -> str:
        """Return why this server is not paused, killed and so on, and what to do instead."""

    def usage(self) -> Usage | None:
        try:
            return probe.usage(self.kind, self.url)
        except BrokerUnavailableError:
            return None

    def alive(self) -> bool:
        try:
            probe.version(self.kind, self.url, timeout_s=_ALIVE_WITHIN_S)
        except BrokerUnavailableError:
            return False
        return True

    def pause(self) -> None:
        self._refuse("pause")

    def resume(self) -> None:
        self._refuse("resume")

    def kill(self) -> None:
        self._refuse("kill")

    def shut_down(self) -> None:
        self._refuse("shut down")

    def restart(self) -> None:
        self._refuse("restart")

    def execute(self, *command: str, timeout_s: float = EXECUTE_WITHIN_S) -> str:
        self._refuse("control")

    def stop(self) -> None:
        """Stop using the server; it keeps running."""

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(self._refusal(what))
