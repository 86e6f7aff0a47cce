"""The contract of a kind of server, ``ServerKind``: everything that the lab must know about one.

A kind is one object without state. It knows the addresses of such servers, how a private one is started, how
a client finds out whether one is ready, and what its settings mean for the guarantees. It never decides where
a server comes from: the providers do.

A package adds a kind with an entry point in the group ``ipclab.brokers``. Only the abstract members must be
written; every other member has a default that is right for a plain TCP server.
"""

from __future__ import annotations

import abc
import signal
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from ipclab.backends import extras
from ipclab.backends.base import Guarantees
from ipclab.brokers import programs
from ipclab.brokers.base import Broker, Usage, mask
from ipclab.brokers.kinds.state import Room, ServerState
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.bounded_socket import Bounds
from ipclab.host.text import clean

PROBE_TIMEOUT_S = 5.0
PROBE_MOST_BYTES = 1 << 20
"""What a server that is asked what it is, has or uses may send; real ones send some kilobytes."""
REMOVAL = Bounds(most_bytes=64 << 20, within_s=120.0)
"""What a server may send, and how long it may take, while names of the lab are looked for and deleted."""


class LoginRefusedError(BrokerUnavailableError):
    """The server answers and refuses the user or the password: waiting does not help."""


class Launch(msgspec.Struct, frozen=True):
    """How to start one process of a server: its command line, and its whole environment."""

    argv: tuple[str, ...]
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a private server will answer, and the processes to start, in their order, the server last."""

    url: str
    launches: tuple[Launch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeService:
    """The service of a kind in ``compose.yaml``; it has the same name as the kind.

    ``port`` is the container's port, as the engine writes it. ``variables`` are the environment variables
    that choose the ports on this machine. ``url`` is an address in which ``{login}`` stands for the login and
    ``{at}`` for host and port. ``password_variable`` sets the password when the service is started;
    ``password_inside`` is the variable that has it inside the container; ``login`` is the login, in which
    ``{}`` stands for the password.
    """

    port: str
    variables: tuple[str, ...]
    url: str
    password_variable: str
    password_inside: str
    login: str


@dataclass(frozen=True, slots=True)
class Squeeze:
    """How a server is short of memory.

    ``room_bytes``: about how much it still takes before it refuses or evicts; None where publishers are
    blocked at once. ``what``: one line for the reader.
    """

    room_bytes: int | None
    what: str


@dataclass(frozen=True, slots=True)
class SettingsCase:
    """Settings under which the faults of a server of this kind are tested again.

    ``actions`` are the faults to which these settings matter.
    """

    settings: Mapping[str, str]
    actions: tuple[str, ...]


class ServerKind(abc.ABC):
    """Everything that is specific to one kind of server. One instance per process; without state; picklable.

    ``name``             the value of a backend's ``broker``, and the name of the entry point.
    ``title``            the name in a sentence.
    ``schemes``          the schemes of its URLs, without ``://``.
    ``variables``        the environment variables that name a user's server; the first that is set counts.
    ``example_url``      an address for error messages.
    ``default_port``     the port of an address that names none.
    ``program``          the server's program, searched on PATH; empty where no private one can be started.
    ``package``          the Debian package of the program; empty where there is none.
    ``formula``          the Homebrew formula, where its name is not that of the package.
    ``libraries``        the distributions of its client, whose versions are stored with a result.
    ``extra``            the extra of ipclab with its client (see ``ipclab.backends.extras``); empty where
                         ipclab always has it.
    ``speaks``           the kind whose protocol it speaks and for which it can stand in; empty for none.
    ``stop_signal``      the signal that asks a private server to end in good order.
    ``service``          its service in ``compose.yaml``; None where it has none.
    ``call_grace_s``     seconds that one call of a client may take, while the server fails and recovers,
                         before the call counts as hung.
    ``starts_again_s``   seconds until a killed server answers again, roughly; for the estimate of a run.
    ``has_memory_limit`` whether ``squeezed()`` can leave it little memory; if not, it is never filled.
    ``settings_cases``   see ``SettingsCase``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]
    variables: ClassVar[tuple[str, ...]] = ()
    example_url: ClassVar[str]
    default_port: ClassVar[int]
    program: ClassVar[str] = ""
    package: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    libraries: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    speaks: ClassVar[str] = ""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    service: ClassVar[ComposeService | None] = None
    call_grace_s: ClassVar[float] = 6.0
    starts_again_s: ClassVar[float] = 2.0
    has_memory_limit: ClassVar[bool] = False
    settings_cases: ClassVar[tuple[SettingsCase, ...]] = ()

    @abc.abstractmethod
    def version(self, url: str, timeout_s: float) -> str:
        """Return the version of the server at ``url``, after it has answered its own client.

        Open a connection and close it; each step takes at most ``timeout_s``. Raise BrokerUnavailableError,
        one line with the masked URL, where nothing usable answers; LoginRefusedError where the login is
        refused.
        """

    def lacks(self) -> str:
        """Return in one line which extra of ipclab is missing, and how to get it; empty for none."""
        extra = extras.EXTRAS.get(self.extra)
        return "" if extra is None or extra.is_here else extra.lack(self.title)

    def find_program(self) -> str | None:
        """Return the path of the server's program on this machine, None where it is not installed."""
        return programs.find(self.program) if self.program else None

    def plan(self, program: str, folder: Path) -> Plan:
        """Write a private server's configuration into ``folder``, on free loopback ports; return the plan.

        Start nothing. The plan must keep other users of the machine out where the server can do that.
        """
        raise BrokerUnavailableError(f"the lab cannot start a private {self.title}")

    def canonical(self, value: str) -> str:
        """Return the URL for an address that a user wrote, which may be a short form."""
        return value

    def check_url(self, url: str) -> None:
        """Raise UsageError, without any part of ``url``, where it is no address of such a server."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in self.schemes and parts.port != 0
            usable = usable and (bool(parts.hostname) or self.is_local(url))
        except ValueError:
            usable = False
        if not usable:
            raise self.no_url()

    def is_local(self, url: str) -> bool:
        """Return whether ``url`` names a Unix socket of this machine instead of a host."""
        return False

    def no_url(self) -> UsageError:
        """Return the error for an invalid URL of this kind; it shows no part of the URL."""
        return UsageError(
            f"not a URL of {self.title}; write it like {self.example_url}"
            " (write a special character of a password as %XX)"
        )

    def address(self, url: str) -> tuple[str | None, int]:
        """Return host and port of a URL; no host for a Unix socket. Raise ValueError where it is no URL."""
        parts = urlsplit(url)
        return parts.hostname, parts.port or self.default_port

    def accepts_proxy(self, url: str) -> bool:
        """Return whether a plain TCP proxy can be put before the server at ``url``; with TLS it cannot."""
        parts = urlsplit(url)
        return parts.scheme == self.schemes[0] and parts.hostname is not None

    def usage(self, url: str, timeout_s: float) -> Usage | None:
        """Return the resource use that the server itself reports; None where it reports none.

        Raise BrokerUnavailableError where it does not answer.
        """
        return None

    def confirm_identity(self, url: str, pid: int) -> None:  # noqa: B027 - see below
        """Raise BrokerUnavailableError where the server at ``url`` is not the private one with this pid.

        A kind whose private servers have a password of their own does not need this check.
        """

    def describe(self, broker: Broker) -> ServerState:
        """Return the server's settings and whether a run can use it. Change nothing on the server.

        Raise BrokerUnavailableError where it does not answer.
        """
        return ServerState()

    def room(self, url: str, item_bytes: int) -> Room | None:
        """Return how much the server takes of items of this size before it evicts or refuses.

        None where it has no limit, or does not report it. Raise BrokerUnavailableError where it does not
        answer.
        """
        return None

    def losses(self, url: str) -> dict[str, int]:
        """Return how many items the server has dropped by itself so far, by its own counters.

        Raise BrokerUnavailableError where it does not answer.
        """
        return {}

    def most_lost(
        self, url: str, dropped: Mapping[str, int], *, settings: Mapping[str, str], in_one_item: int | None
    ) -> int | None:
        """Return how many messages of the lab such drops can have cost at most; None for no bound.

        ``dropped`` is by how much each counter of ``losses()`` has grown, ``settings`` what the server was
        set to before, and ``in_one_item`` how many messages a trial has under way at most, which may all lie
        in one item; None for no bound. By default each item is one message, and any item can be one of the
        lab. Raises BrokerUnavailableError where the server is asked and does not answer.
        """
        return sum(dropped.values())

    def names(self, url: str) -> Set[str] | None:
        """Return the names of everything stored on the server at ``url``; None where it cannot list them.

        The conformance suite uses this to check that a backend leaves nothing behind.
        """
        return None

    def squeezed(self, broker: Broker) -> AbstractContextManager[Squeeze]:
        """Leave a server of the lab little memory within the block, and restore its limit afterwards.

        Raise UsageError where the kind has no way to do that.
        """
        raise UsageError(f"the lab has no way to exhaust the memory of {self.title}")

    def check_settings(self, settings: Mapping[str, str]) -> None:
        """Raise UsageError where one of these settings cannot be set on a server for one trial."""
        names = ", ".join(settings)
        raise UsageError(f"{self.title} has no settings for one trial, so {names} cannot be set")

    def applied(self, broker: Broker, settings: Mapping[str, str]) -> AbstractContextManager[None]:
        """Apply these checked settings to a server of the lab within the block, also across restarts."""
        return nullcontext()

    def changed(self, broker: Broker) -> str:
        """Return the settings of this server that differ from those at its start; empty for none."""
        return ""

    def under(self, guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
        """Return what a backend declares on a server with these settings. A pure function."""
        return guarantees

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        """Delete all names of the lab under these namespaces from the server at ``url``; return how many.

        Ignore missing names, and touch no other name. Raise BrokerUnavailableError where the server does not
        answer, or where the kind has no way to do it.
        """
        begin = ", ".join(namespaces)
        raise self.unavailable(
            url, f"is of a kind whose names the lab cannot remove: delete {begin} yourself"
        )

    def unavailable(self, url: str, what: str) -> BrokerUnavailableError:
        """Return the error in one line, such as ``Redis at redis://… does not answer: …``."""
        return BrokerUnavailableError(f"{self.title} at {mask(url)} {what}")


def one_line(error: BaseException) -> str:
    """Return an exception as one line; pika's often have no text but carry their cause as an argument."""
    return clean((" ".join(str(error).split()) or " ".join(repr(error).split())).removesuffix("."))
