"""What a broker is to the rest of the lab: a server with an address, a version, a cost and an end."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ipclab.backends.base import BrokerKind
from ipclab.host.text import keep_secret, shown_url

ProviderName = Literal["url", "compose", "native"]
PROVIDERS: tuple[ProviderName, ...] = ("url", "compose", "native")
SHUT_DOWN_WITHIN_S = 30.0
EXECUTE_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a broker has used so far: CPU time in seconds since it started, and resident memory now.

    ``rss_bytes`` is None where the server tells its CPU time only. ``queued_s`` is how long its threads were
    ready to run and waited for a processor, None where its processes cannot be seen.
    """

    cpu_s: float
    rss_bytes: int | None
    queued_s: float | None = None


class Broker(abc.ABC):
    """A server that answers. ``url`` may hold a password: show and store ``masked_url`` only.

    ``ours`` says whether the lab started it (this run, ``ipclab up``, or the project's compose file) and so
    may pause, kill, shut down and restart it. ``where`` names it on this machine (``pid 123``, ``container
    4f9a…``) and is empty for a server that is only known by its address. ``started_at_s`` is a Unix time,
    where known.

    Not thread-safe; holds no connection and no thread, so a fork does not harm it, but only the process that
    got it may pause, kill, shut down, restart or stop it.
    """

    provider: ClassVar[ProviderName]
    any_process_reads_usage: ClassVar[bool] = False
    """Whether a forked copy of this object may call ``usage()``, until the server is started again."""

    def __init__(
        self,
        kind: BrokerKind,
        url: str,
        version: str,
        *,
        ours: bool,
        where: str = "",
        started_at_s: float | None = None,
    ) -> None:
        keep_secret(url)
        self.kind = kind
        self.url = url
        self.version = version
        self.ours = ours
        self.where = where
        self.started_at_s = started_at_s
        self.settings: Mapping[str, str] = {}
        """What the server says that it is set to, once it was asked: see ``ServerKind.describe``."""

    @property
    def outlives_run(self) -> bool:
        """Return whether the server goes on after the run, with all that is left on it."""
        return True

    @property
    def lease_name(self) -> str:
        """Return the name under which runs take a lease on this server (see ``leases``)."""
        return f"{self.provider}-{self.kind}"

    @property
    def masked_url(self) -> str:
        """Return what of ``url`` may be shown."""
        return mask(self.url)

    @abc.abstractmethod
    def usage(self) -> Usage | None:
        """CPU and memory so far, None where this provider cannot tell or the server is gone."""

    @abc.abstractmethod
    def alive(self) -> bool:
        """Return whether the server is still there; milliseconds, but not for a hot loop.

        A paused one is there.
        """

    @abc.abstractmethod
    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing answers. Raises UsageError if not ours."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Let a paused server go on. Raises UsageError if not ours."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End the server at once, as a crash would; its data stays. Raises UsageError if not ours."""

    @abc.abstractmethod
    def shut_down(self) -> None:
        """Ask the server to end in good order, and kill it where it takes longer than ``SHUT_DOWN_WITHIN_S``.

        Its data stays; ``restart()`` starts it again. A paused server goes on, to end. One that does not run
        is left as it is. Raises UsageError if not ours.
        """

    @abc.abstractmethod
    def restart(self) -> None:
        """Start an ended server again, on the same address and data; returns once a client is answered.

        A server that still runs is killed first. Raises UsageError if not ours, BrokerUnavailableError if it
        does not come up.
        """

    def revive(self) -> None:
        """Resume it if it is paused, start it if it has ended. Raises what these raise."""
        self.resume()
        if not self.alive():
            self.restart()

    @abc.abstractmethod
    def execute(self, *command: str, timeout_s: float = EXECUTE_WITHIN_S) -> str:
        """Run a program where the server runs, with the server's environment; what it printed.

        Raises UsageError if not ours, IpclabError where it fails or takes longer.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """End the server if it is ours, and delete what it kept; otherwise only let go of it."""


def mask(url: str) -> str:
    """Return what of ``url`` may be shown: scheme, host, port, and database, virtual host or socket.

    From now on its secrets are masked in every text too (``ipclab.host.text``). Never raises.
    """
    keep_secret(url)
    return shown_url(url)
