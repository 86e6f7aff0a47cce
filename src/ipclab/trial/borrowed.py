"""The lab's broker, as the process of a trial uses it: the lab carries out what acts on the server.

Only the process that started a server may end it, and only that process must know how to start it again. So
every method that acts on the server is called in the lab's process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipclab.brokers.base import EXECUTE_WITHIN_S, Broker, Usage
from ipclab.trial.phases import Answered

Ask = Callable[[str, tuple[Any, ...], Mapping[str, Any]], Answered]
FACTS = ("version", "where", "started_at_s")
"""The attributes of a broker that may change when its server is started again."""
METHODS = (
    "usage",
    "alive",
    "pause",
    "resume",
    "kill",
    "shut_down",
    "restart",
    "revive",
    "execute",
    "stop",
)
"""How the lab carries out a method for the process of a trial."""


def facts(broker: Broker) -> dict[str, Any]:
    """Return the attributes of a broker that may have changed, by name."""
    return {name: getattr(broker, name) for name in FACTS}


class BorrowedBroker(Broker):
    """A copy of ``broker`` whose methods ``ask(method, args, settings)`` carries out. Not thread-safe."""

    def __init__(self, broker: Broker, ask: Ask) -> None:
        super().__init__(
            broker.kind,
            broker.url,
            broker.version,
            ours=broker.ours,
            where=broker.where,
            started_at_s=broker.started_at_s,
        )
        # All other attributes of a broker, such as its settings.
        self.__dict__.update({name: value for name, value in vars(broker).items() if name in self.__dict__})
        self.provider = broker.provider  # type: ignore[misc]
        self._broker = broker
        self._carry_out = ask

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that only this kind of broker has, as it was when the trial began."""
        if name.startswith("__") or "_broker" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._broker, name)

    def _ask(self, method: str, args: tuple[Any, ...], settings: Mapping[str, Any]) -> Any:
        answer = self._carry_out(method, args, settings)
        for name, value in answer.facts.items():
            setattr(self, name, value)
        if answer.error is not None:
            raise answer.error
        return answer.value

    def usage(self) -> Usage | None:
        if self._broker.any_process_reads_usage and self._broker.where == self.where:
            # A question to the lab's process takes as long as the lab waits for a processor.
            return self._broker.usage()
        found: Usage | None = self._ask("usage", (), {})
        return found

    def alive(self) -> bool:
        return bool(self._ask("alive", (), {}))

    def pause(self) -> None:
        self._ask("pause", (), {})

    def resume(self) -> None:
        self._ask("resume", (), {})

    def kill(self) -> None:
        self._ask("kill", (), {})

    def shut_down(self) -> None:
        self._ask("shut_down", (), {})

    def restart(self) -> None:
        self._ask("restart", (), {})

    def revive(self) -> None:
        self._ask("revive", (), {})

    def execute(self, *command: str, timeout_s: float = EXECUTE_WITHIN_S) -> str:
        return str(self._ask("execute", command, {"timeout_s": timeout_s}))

    def stop(self) -> None:
        self._ask("stop", (), {})
