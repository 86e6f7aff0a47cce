"""Checks the declarations of a backend's class, before the lab uses the class.

Called once for each class of another package, when it is loaded. The tests hold the lab's own classes to the
same rules.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import get_args

from ipclab.backends.base import Channel, Counter, Guarantees, Option, OptionValue, Reach, SharedState, Site
from ipclab.backends.shared import Mutex, Register
from ipclab.errors import ContractError, IpclabError, UsageError
from ipclab.host.text import line_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
FACES = (Channel, Counter, Register, Mutex)
"""The base classes that a backend can have."""
_SITE = Site(namespace="ipclab:check")
SHOWN = 60
"""Characters of a wrong value that an error shows."""


def described(value: object) -> str:
    """Return a wrong value with its type in a few words: ``numpy.int64 np.int64(5)``. Never raise."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if value is None:
        return "None"
    try:
        text = " ".join(repr(value)[: 4 * SHOWN].split())
    except Exception:  # noqa: BLE001 - it is a foreign __repr__
        return f"a {name}"
    return f"{name} {text if len(text) <= SHOWN else text[:SHOWN] + '…'}"


def check_class(kind: type[Channel] | type[SharedState]) -> None:
    """Raise ContractError, in one line, where this class declares what the contract does not allow.

    The class is instantiated once with its default options and once with each other choice, without a server,
    because its guarantees may depend on them.
    """
    for wrong in _wrong_in_class(kind):
        raise ContractError(wrong)
    for options in _modes(kind.options):
        try:
            made = kind(_SITE, **options)
        except Exception as error:
            raise ContractError(f"it cannot be made: {type(error).__name__}: {error}") from error
        for wrong in _wrong_in_instance(made):
            raise ContractError(wrong)


def guarantees_of(channel: type[Channel], options: Mapping[str, OptionValue]) -> Guarantees:
    """Return the guarantees that a channel declares with these options; no server is needed.

    Raise UsageError, in one line, where a channel of another package cannot be made with these options, or
    does not declare guarantees then.
    """
    words = f"{channel.name}:{','.join(f'{name}={value}' for name, value in options.items())}".rstrip(":")
    try:
        found = channel(_SITE, **options).guarantees
    except IpclabError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"the backend {words} cannot be made: {line_of(error)}") from error
    if type(found) is not Guarantees:
        raise UsageError(f"the backend {words} declares {described(found)}, which is no Guarantees object")
    return found


def _wrong_in_class(kind: type[Channel] | type[SharedState]) -> Iterator[str]:
    name = getattr(kind, "name", None)
    if type(name) is not str or not _NAME.fullmatch(name):
        yield f"its name must be letters, digits and . _ -, not {described(name)}"
    if missing := sorted(getattr(kind, "__abstractmethods__", ())):
        yield f"{name} does not implement {', '.join(missing)}"
    if inspect.isabstract(kind) or not issubclass(kind, FACES):
        yield f"{name} is no Channel, Counter, Register or Mutex"
    summary = getattr(kind, "summary", None)
    if type(summary) is not str or not summary.isprintable():
        yield f"{name}: summary must be one line of text, not {described(summary)}"
    if kind.broker is not None and not (type(kind.broker) is str and _NAME.fullmatch(kind.broker)):
        yield f"{name}: broker must be None or the name of a kind of server, not {described(kind.broker)}"
    yield from _wrong_options(kind)
    if issubclass(kind, Channel):
        for field in ("max_producers", "max_consumers"):
            most = getattr(kind, field)
            if most is not None and (type(most) is not int or most < 1):
                yield f"{name}: {field} must be None or a whole number above 0, not {described(most)}"
        reasons = kind.impossible_moments
        if not isinstance(reasons, Mapping) or any(
            type(text) is not str for pair in reasons.items() for text in pair
        ):
            yield f"{name}: impossible_moments must be a dict of texts, not {described(reasons)}"
        if (carries := kind.carries_objects) not in ("", "at once", "later"):
            yield (f"{name}: carries_objects must be '', 'at once' or 'later', not {described(carries)}")
    if not isinstance(kind.libraries, tuple) or any(type(one) is not str for one in kind.libraries):
        yield f"{name}: libraries must be a tuple of names of distributions, not {described(kind.libraries)}"
    for field in ("has_server", "windowed", "has_owner", "replaceable"):
        if type(getattr(kind, field, False)) is not bool:
            yield f"{name}: {field} must be True or False, not {described(getattr(kind, field))}"


def _wrong_options(kind: type[Channel] | type[SharedState]) -> Iterator[str]:
    options = kind.options
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        yield f"{kind.name}: options must be a tuple of Option objects, not {described(options)}"
        return
    names = [option.name for option in options]
    if twice := {name for name in names if names.count(name) > 1}:
        yield f"{kind.name}: two options are called {sorted(twice)[0]}"
    if issubclass(kind, SharedState) and not any(
        option.name == "discipline" and option.choices and all(type(c) is str for c in option.choices)
        for option in options
    ):
        yield f"{kind.name}: it needs an option 'discipline' with choices that are texts"


def _modes(options: tuple[Option, ...]) -> Iterator[dict[str, str | int]]:
    yield {}
    for option in options:
        for choice in option.choices:
            if choice != option.default:
                yield {option.name: choice}


def _wrong_in_instance(made: Channel | SharedState) -> Iterator[str]:
    try:
        yield from _wrong_in_channel(made) if isinstance(made, Channel) else _wrong_in_shared(made)
    except ContractError as error:
        yield str(error)
    except Exception as error:  # noqa: BLE001 - a property of a backend may raise anything
        yield f"{made.name}: its declaration raises {type(error).__name__}: {error}"


def _wrong_in_channel(channel: Channel) -> Iterator[str]:
    guarantees = channel.guarantees
    if type(guarantees) is not Guarantees:
        yield f"{channel.name}: guarantees must be a Guarantees object, not {described(guarantees)}"
    for field in ("settles_after_s", "redelivers_after_s"):
        seconds = getattr(channel, field)
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            yield f"{channel.name}: {field} must be a number of seconds, not {described(seconds)}"
    ttl_s = channel.expires_after_s
    if ttl_s is not None and (type(ttl_s) not in (int, float) or not 0 < ttl_s < math.inf):
        yield f"{channel.name}: expires_after_s must be None or a number of seconds, not {described(ttl_s)}"
    elif type(guarantees) is Guarantees and (ttl_s is None) == ("expired" in guarantees.may_lose):
        yield f"{channel.name}: expires_after_s and the loss cause 'expired' must be declared together"
    held = channel.most_in_flight
    if held is not None and (type(held) is not int or held < 1):
        yield f"{channel.name}: most_in_flight must be None or a whole number above 0, not {described(held)}"


def _wrong_in_shared(shared: SharedState) -> Iterator[str]:
    if shared.reach not in get_args(Reach):
        allowed = ", ".join(get_args(Reach))
        yield f"{shared.name}: reach must be one of {allowed}, not {described(shared.reach)}"
    for field in ("safe", "compares", "expires", "fenced"):
        value = getattr(shared, field, False)
        if type(value) is not bool:
            yield f"{shared.name}: {field} must be True or False, not {described(value)}"


def server_pids(backend: Channel | SharedState) -> tuple[int, ...]:
    """Return ``backend.server_pids()``, for the process in which ``backend.setup()`` has run.

    Raises ContractError where that is no sequence of ids of processes that this one has started, itself or
    through others: they are counted as the backend's own, and a fault kills them.
    """
    found = backend.server_pids()
    if not isinstance(found, tuple | list) or any(type(pid) is not int or pid < 1 for pid in found):
        raise ContractError(
            f"{backend.name}: server_pids() must be a tuple of process ids, but returned {described(found)}"
        )
    # Here, since most uses of this module need no psutil.
    from ipclab.host.resources import stranger

    if (pid := stranger(found, os.getpid())) is not None:
        raise ContractError(
            f"{backend.name}: server_pids() must name helper processes that setup() has started; it returned "
            f"{pid}, which is another process"
        )
    return tuple(found)
