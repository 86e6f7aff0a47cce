"""The user's own servers, named by environment variables. They are used, and never stopped or paused."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from ipclab.backends.base import BrokerKind
from ipclab.brokers import kinds, probe
from ipclab.brokers.only_used import OnlyUsedBroker
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.text import keep_secret


class UrlBroker(OnlyUsedBroker):
    """A server that the lab did not start."""

    provider = "url"

    def __init__(self, kind: BrokerKind, url: str, version: str, variable: str) -> None:
        super().__init__(kind, url, version, ours=False)
        self.variable = variable

    def _refusal(self, what: str) -> str:
        return (
            f"{self.variable} names a server that the lab did not start, so it does not {what} it; "
            "choose --provider compose or native for that"
        )


_apart: dict[str, str] = {}
"""The variables that name servers, while they are hidden from processes that the lab starts."""


@contextlib.contextmanager
def kept_from_children() -> Iterator[None]:
    """Remove the variables that name servers from the environment within the block: no child needs them.

    A worker gets the one URL that it uses. ``find()`` still knows all of them. Not thread-safe.
    """
    taken = {name: os.environ.pop(name) for name in kinds.variables() if name in os.environ}
    _apart.update(taken)
    try:
        yield
    finally:
        for name, value in taken.items():
            del _apart[name]
            os.environ[name] = value


def find(kind: BrokerKind, environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return the variable that is set for this broker and its URL, in the form that clients take; None if
    unset.

    memcached also takes ``host:port``. Raise UsageError, without the password, for an invalid URL.
    """
    environ = {**os.environ, **_apart} if environ is None else environ
    of = kinds.get(kind)
    for variable in of.variables:
        value = environ.get(variable, "").strip()
        if value:
            keep_secret(value)
            url = of.canonical(value)
            try:
                of.check_url(url)
            except UsageError as error:
                raise UsageError(f"{variable}: {error}") from None
            return variable, url
    return None


def addresses() -> dict[str, tuple[str, int]]:
    """Return host and port of each server that a variable names, by kind; those without a port are left out.

    Raise UsageError for an invalid URL.
    """
    found: dict[str, tuple[str, int]] = {}
    for kind in kinds.names():
        if (one := find(kind)) is not None:
            parts = urlsplit(one[1])
            if parts.hostname and parts.port:
                found[kind] = (parts.hostname, parts.port)
    return found


def connect(kind: BrokerKind) -> UrlBroker | None:
    """Return the server that the environment names, once it has answered; None where it names none.

    Raise BrokerUnavailableError where it does not answer, refuses the login or reports that no run can use
    it, such as a read-only replica; UsageError for a bad URL.
    """
    found = find(kind)
    if found is None:
        return None
    variable, url = found
    try:
        version = probe.version(kind, url)
    except BrokerUnavailableError as error:
        advice = "correct" if isinstance(error, probe.LoginRefusedError) else "start it, or correct or unset"
        raise BrokerUnavailableError(f"{error}; {advice} {variable}") from None
    broker = UrlBroker(kind, url, version, variable)
    of = kinds.get(kind)
    state = of.describe(broker)
    if state.unusable:
        raise BrokerUnavailableError(
            f"{of.title} at {broker.masked_url}, which {variable} names, {state.unusable}"
        )
    broker.settings = state.settings
    return broker
