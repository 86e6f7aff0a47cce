"""What a broker is to the rest of the lab: a server with an address, a version, a cost and an end."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

from ipclab.backends.base import BrokerKind

ProviderName = Literal["url", "compose", "native"]
PROVIDERS: tuple[ProviderName, ...] = ("url", "compose", "native")
KINDS: tuple[BrokerKind, ...] = ("redis", "rabbitmq", "memcached")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a broker has used so far: CPU time in seconds since it started, and resident memory now."""

    cpu_s: float
    rss_bytes: int


class Broker(abc.ABC):
    """A server that answers. ``url`` may hold a password: show and store ``masked_url`` only.

    Not thread-safe. ``ours`` says whether the lab started it and so may pause, kill or stop it.
    """

    provider: ClassVar[ProviderName]

    def __init__(self, kind: BrokerKind, url: str, version: str, *, ours: bool) -> None:
        self.kind = kind
        self.url = url
        self.version = version
        self.ours = ours

    @property
    def masked_url(self) -> str:
        """``url`` with its password, if it has one, replaced by ``***``."""
        return mask(self.url)

    @abc.abstractmethod
    def usage(self) -> Usage | None:
        """CPU and memory so far, None where this provider cannot tell."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End the server if it is ours, and delete what it kept; otherwise only let go of it."""


def mask(url: str) -> str:
    """``url`` with its password, if it has one, replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user_and_password, _, host = parts.netloc.rpartition("@")
    user = user_and_password.split(":", 1)[0]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))
