"""The interface of a broker: a server with an address, a version, a cost, and methods to control it."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from ipclab.backends.base import BrokerKind
from ipclab.host.text import keep_secret, shown_url

ProviderName = Literal["url", "compose", "native"]
PROVIDERS: tuple[ProviderName, ...] = get_args(ProviderName)
SHUT_DOWN_WITHIN_S = 30.0
EXECUTE_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a broker has used so far: CPU time in seconds since it started, and resident memory now.

    ``rss_bytes`` is None where the server reports its CPU time only. ``queued_s`` is how long its threads
    were ready to run and waited for a processor, None where its processes cannot be read.
    """

    cpu_s: float
    rss_bytes: int | None
    queued_s: float | None = None


class Broker(abc.ABC):
    """A server that answers. ``url`` may contain a password: show and store ``masked_url`` only.

    ``ours`` says whether the lab started it (this run, ``ipclab up``, or the project's compose file) and so
    may pause, kill, shut down and restart it. ``where`` names it on this machine (``pid 123``, ``container
    4f9a…``) and is empty for a server that is only known by its address. ``started_at_s`` is a Unix time,
    where known.

    Not thread-safe. It holds no connection and no thread, so a fork does not harm it, but only the process
    that acquired it may pause, kill, shut down, restart or stop it.
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
        """The settings that the server reported, once it was asked: see ``ServerKind.describe``."""
        self.network = ""
        """The network to the server, where it is neither the loopback address nor one that the user chose."""
        self.to_control_it = "choose --provider compose or native"
        """What a user does so that the lab may control such a server, where it is not ours."""

    @property
    def outlives_run(self) -> bool:
        """Return whether the server continues after the run, with all that is left on it."""
        return True

    @property
    def lease_name(self) -> str:
        """Return the name under which runs take a lease on this server (see ``leases``)."""
        return f"{self.provider}-{self.kind}"

    @property
    def masked_url(self) -> str:
        """Return the part of ``url`` that may be shown."""
        return mask(self.url)

    @abc.abstractmethod
    def usage(self) -> Usage | None:
        """Return CPU and memory so far; None where this provider cannot read them or the server is gone."""

    @abc.abstractmethod
    def alive(self) -> bool:
        """Return whether the server process exists, within milliseconds; not for a hot loop.

        A paused server exists.
        """

    @abc.abstractmethod
    def pause(self) -> None:
        """Freeze the server: connections stay open, nothing answers. Raise UsageError if it is not ours."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Resume a paused server. Raise UsageError if it is not ours."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End the server at once, as a crash would; its data stays. Raise UsageError if it is not ours."""

    @abc.abstractmethod
    def shut_down(self) -> None:
        """Ask the server to end in good order, and kill it where it takes longer than ``SHUT_DOWN_WITHIN_S``.

        Its data stays; ``restart()`` starts it again. A paused server is resumed so that it can end. A server
        that does not run is left as it is. Raise UsageError if it is not ours.
        """

    @abc.abstractmethod
    def restart(self) -> None:
        """Start an ended server again, on the same address and data; return once it answers a client.

        A server that still runs is killed first. Raise UsageError if it is not ours, BrokerUnavailableError
        if it does not answer in time.
        """

    def revive(self) -> None:
        """Resume the server if it is paused, start it if it has ended. Raise what these methods raise."""
        self.resume()
        if not self.alive():
            self.restart()

    @abc.abstractmethod
    def execute(self, *command: str, timeout_s: float = EXECUTE_WITHIN_S) -> str:
        """Run a program beside the server, with the server's environment; return its output.

        Raise UsageError if the server is not ours, IpclabError where the program fails or takes longer.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """End the server if it is ours, and delete its data; otherwise only stop using it."""


def mask(url: str) -> str:
    """Return the part of ``url`` that may be shown: scheme, host, port, and database, virtual host or socket.

    From now on its secrets are masked in every other text too (``ipclab.host.text``). Never raise.
    """
    keep_secret(url)
    return shown_url(url)
