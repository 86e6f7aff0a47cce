"""Every error that ipclab raises on purpose.

The message of each is one line for the user and says what to do. The command line prints that line and
exits with ``exit_code``; nothing else in the package decides an exit code for an error.

::

    IpclabError                  1   something that has a clear cause
    ├── UsageError               2   the request cannot be carried out as it was made
    │   ├── UnknownNameError     2   no such backend, experiment, option or run; nearest names offered
    │   └── ResultsError         2   the results folder cannot be written, or a stored result not read
    ├── BrokerUnavailableError   4   a broker cannot be found, started or reached
    ├── ClockError               3   the clocks of two processes do not agree
    └── ChannelError             1   a backend failed while it was used
        ├── CannotHoldError      1   a client cannot be stopped at the moment at which others can intervene
        ├── ContractError        1   a backend answered or declared something that the contract does not allow
        └── MessageTooLargeError 2   a message above the backend's largest
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ipclab.exit_codes import ExitCode


class IpclabError(Exception):
    """Base of all; catch this to catch everything that ipclab raises on purpose."""

    exit_code: int = ExitCode.BROKEN


class UsageError(IpclabError):
    """The request cannot be carried out as it was made."""

    exit_code = ExitCode.USAGE


class UnknownNameError(UsageError):
    """No such name; the message offers the nearest ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
        super().__init__(f"no {what} is called {name!r}; {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        """Make the error picklable by its message."""
        return _with_message, (type(self), str(self))


class ResultsError(UsageError):
    """The results folder cannot be written, or a stored result cannot be read."""


class BrokerUnavailableError(IpclabError):
    """A broker cannot be found, started or reached."""

    exit_code = ExitCode.NO_BROKER


class ClockError(IpclabError):
    """The clocks of two processes of this host do not agree, so no latency can be measured."""

    exit_code = ExitCode.UNKNOWN


class ChannelError(IpclabError):
    """A backend failed while it was used."""


class CannotHoldError(ChannelError):
    """A client of shared state cannot be stopped at the moment at which others can intervene."""


class ContractError(ChannelError):
    """A backend answered or declared something that ``ipclab.backends.base`` does not allow."""


class MessageTooLargeError(ChannelError):
    """A message is larger than the backend carries."""

    exit_code = ExitCode.USAGE


def _with_message(kind: type[IpclabError], message: str) -> IpclabError:
    error = kind.__new__(kind)
    error.args = (message,)
    return error
