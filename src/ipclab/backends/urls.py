"""Checks addresses of servers before a client gets them: are their query options known and usable?"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from ipclab.errors import UsageError

Check = Callable[[str], object]
"""A function that checks the value of an option. Raises ValueError or OSError where it cannot be used."""


def options(url: str, known: Mapping[str, Check], what: str) -> dict[str, str]:
    """Return the query options of ``url``, each checked.

    Raise UsageError for an option that is not in ``known``, for one without a value or with several, and for
    a value that its check refuses. The message names the option and never its value, which may be a secret.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if not value:
            raise UsageError(f"a query option of the {what} URL has no value")
        if name not in known:
            raise UsageError(f"a {what} URL has no option {name!r}; there are: {', '.join(known)}")
        if name in found:
            raise UsageError(f"the option {name} of the {what} URL is set twice")
        try:
            known[name](value)
        except OSError as error:
            raise UsageError(
                f"the option {name} of the {what} URL names a file that cannot be read: {error.strerror}"
            ) from None
        except Exception:  # noqa: BLE001 - its text may hold the value
            raise UsageError(f"the value of the option {name} of the {what} URL cannot be used") from None
        found[name] = value
    return found


def boolean(value: str) -> bool:
    """Return whether a word in a URL means yes or no. Raise ValueError for any other word."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return words[value.lower()]


def file(value: str) -> None:
    """Raise OSError where this file cannot be opened."""
    Path(value).open("rb").close()


def folder(value: str) -> None:
    """Raise OSError where this is no readable folder."""
    next(Path(value).iterdir(), None)


def one_of(*words: str) -> Check:
    """Return a check for one of these words."""

    def check(value: str) -> None:
        if value not in words:
            raise ValueError(f"not one of {', '.join(words)}")

    return check


def open_tcp(host: str, port: int, timeout_s: float | None) -> socket.socket:
    """Connect to a host by each of its addresses in turn, until one accepts; with TCP_NODELAY.

    Raise OSError, the one of the last address, where none accepts.
    """
    link = socket.create_connection((host, port), timeout=timeout_s)
    with contextlib.suppress(OSError):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link
