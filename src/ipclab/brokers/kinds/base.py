"""What the lab must know of a kind of server: the contract that ``ServerKind`` states.

A kind is one object without state. It knows the addresses of such servers, how a private one is started, how
a client finds out whether one is ready, and what its settings mean for what is kept in it. It never decides
where a server comes from: that is for the providers.

A package adds a kind with an entry point in the group ``ipclab.brokers``. Only the abstract members must be
written; every other member has a default that is true of a plain TCP server.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from ipclab.backends.base import Guarantees
from ipclab.brokers import programs
from ipclab.brokers.base import Broker, Usage, mask
from ipclab.brokers.kinds.state import Room, ServerState
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.text import clean

PROBE_TIMEOUT_S = 5.0
PROBE_MOST_BYTES = 1 << 20
"""What a server that is asked for its version or its usage may send; real ones send some kilobytes."""


class LoginRefusedError(BrokerUnavailableError):
    """The server is there and refuses the user or the password: waiting does not help."""


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
    """The service of a kind in ``compose.yaml``, which has the name of the kind.

    ``port`` is the container's, as the engine names it; ``variables`` are the environment variables that
    choose the ports on this machine; ``url`` is an address with ``{login}`` and ``{at}`` in the place of the
    login and of host and port. ``password_variable`` chooses the password when the service is started,
    ``password_inside`` has it in the environment of the container, and ``login`` is the login with ``{}`` in
    its place.
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

    ``room_bytes``: what it still takes, about, before it refuses or evicts; None where publishers are blocked
    at once. ``what``: one line for the reader.
    """

    room_bytes: int | None
    what: str


@dataclass(frozen=True, slots=True)
class SettingsCase:
    """Settings under which the faults of a server of this kind are looked at again.

    ``actions`` are the faults that these settings bear upon.
    """

    settings: Mapping[str, str]
    actions: tuple[str, ...]


class ServerKind(abc.ABC):
    """Everything that is true of one kind of server. One instance a process; without state; picklable.

    ``name``             what a backend's ``broker`` says, and the name of the entry point.
    ``title``            how it is written in a sentence.
    ``schemes``          the schemes of its URLs, without ``://``.
    ``variables``        the environment variables that name a server of the user, the first one set counts.
    ``example_url``      an address for error messages.
    ``default_port``     the port of an address that names none.
    ``program``          the server's program, looked for on PATH; empty where no private one can be started.
    ``package``          the Debian package of the program; empty where there is none.
    ``formula``          the Homebrew formula, where it is not the package's name.
    ``libraries``        the distributions of its client, whose versions are stored with a result.
    ``service``          its service in ``compose.yaml``; None where it has none.
    ``call_grace_s``     seconds that one call of a client may take, while the server fails and comes back,
                         before the call is said to hang.
    ``starts_again_s``   seconds until a killed server answers again, about; for the estimate of a run.
    ``has_memory_limit`` whether ``squeezed()`` can leave it little memory; without, memory is never filled.
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
    service: ClassVar[ComposeService | None] = None
    call_grace_s: ClassVar[float] = 6.0
    starts_again_s: ClassVar[float] = 2.0
    has_memory_limit: ClassVar[bool] = False
    settings_cases: ClassVar[tuple[SettingsCase, ...]] = ()

    @abc.abstractmethod
    def version(self, url: str, timeout_s: float) -> str:
        """Return the version of the server at ``url``, after it has answered its own client.

        Opens a connection of its own and closes it; each step takes at most ``timeout_s``. Raises
        BrokerUnavailableError, one line with the masked URL, where nothing usable answers;
        LoginRefusedError where the login is refused.
        """

    def find_program(self) -> str | None:
        """Return the path of the server's program on this machine, None where it is not installed."""
        return programs.find(self.program) if self.program else None

    def plan(self, program: str, folder: Path) -> Plan:
        """Write the configuration of a private server into ``folder``, on fresh ports of the loopback.

        Nothing is started. The plan must keep other users of the machine out where the server can do that.
        """
        raise BrokerUnavailableError(f"the lab cannot start a private {self.title}")

    def canonical(self, value: str) -> str:
        """Return what a user wrote for an address, as a URL; a short form is completed here."""
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
        """Return whether ``url`` names no host but a Unix socket of this machine."""
        return False

    def no_url(self) -> UsageError:
        """Return the error for what is no URL of this kind; where its password is cannot be told."""
        return UsageError(
            f"no URL of {self.title}; one looks like {self.example_url}"
            " (a special character of a password is written as %XX)"
        )

    def address(self, url: str) -> tuple[str | None, int]:
        """Return host and port of a URL; no host for a Unix socket. Raises ValueError where it is no URL."""
        parts = urlsplit(url)
        return parts.hostname, parts.port or self.default_port

    def accepts_proxy(self, url: str) -> bool:
        """Return whether a plain TCP proxy can stand before the server at ``url``, which TLS forbids."""
        parts = urlsplit(url)
        return parts.scheme == self.schemes[0] and parts.hostname is not None

    def usage(self, url: str, timeout_s: float) -> Usage | None:
        """Return what the server itself says that it has used; None where it cannot say.

        Raises BrokerUnavailableError where it does not answer.
        """
        return None

    def confirm_identity(self, url: str, pid: int) -> None:  # noqa: B027 - see below
        """Raise BrokerUnavailableError where the server at ``url`` is not the private one with this pid.

        A kind whose private servers have a password of their own needs no such question.
        """

    def describe(self, broker: Broker) -> ServerState:
        """Return what the server is set to and whether a run can use it. Changes nothing on the server.

        Raises BrokerUnavailableError where it does not answer.
        """
        return ServerState()

    def room(self, url: str, item_bytes: int) -> Room | None:
        """Return how much the server takes of items of this size before it evicts or refuses.

        None where it has no limit, or cannot say. Raises BrokerUnavailableError where it does not answer.
        """
        return None

    def losses(self, url: str) -> dict[str, int]:
        """Return how many items the server has dropped on its own so far, by its own counters.

        Raises BrokerUnavailableError where it does not answer.
        """
        return {}

    def names(self, url: str) -> Set[str] | None:
        """Return the names of all that is kept on the server at ``url``; None where it cannot list them.

        The conformance suite asks for them, to see that a backend leaves nothing behind.
        """
        return None

    def squeezed(self, broker: Broker) -> AbstractContextManager[Squeeze]:
        """Leave a server of the lab little memory within the block, and what it had before afterwards.

        Raises UsageError where the kind has no way to do it.
        """
        raise UsageError(f"the lab has no way to exhaust the memory of {self.title}")

    def check_settings(self, settings: Mapping[str, str]) -> None:
        """Raise UsageError where one of these settings cannot be set on a server for one trial."""
        names = ", ".join(settings)
        raise UsageError(f"{self.title} has no settings for one trial, so {names} cannot be set")

    def applied(self, broker: Broker, settings: Mapping[str, str]) -> AbstractContextManager[None]:
        """Set a server of the lab to these checked settings within the block, over restarts too."""
        return nullcontext()

    def changed(self, broker: Broker) -> str:
        """Return what this server is set to that the lab did not start it with; empty where nothing is."""
        return ""

    def under(self, guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
        """Return what a backend declares on a server with these settings. Pure."""
        return guarantees

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        """Delete from the server at ``url`` all that the lab made under these namespaces, and return how many
        names that were. Nothing there is fine, and no other name is touched.

        Raises BrokerUnavailableError where the server does not answer, or where the kind has no way to do it.
        """
        begin = ", ".join(namespaces)
        raise self.unavailable(url, f"is of a kind whose names the lab cannot remove: delete {begin}")

    def unavailable(self, url: str, what: str) -> BrokerUnavailableError:
        """Return the error in one line: ``Redis at redis://… does not answer: …``."""
        return BrokerUnavailableError(f"{self.title} at {mask(url)} {what}")


def one_line(error: BaseException) -> str:
    """Return an exception as one line; pika's often have no text but hold their cause as an argument."""
    return clean((" ".join(str(error).split()) or " ".join(repr(error).split())).removesuffix("."))
