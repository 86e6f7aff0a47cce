"""Notes what a run makes on a server that outlives it, before it is made, so that a later run can remove it.

There is one file per run and server in the state folder. It names the run, its process, the server without
its password, and the trials whose names may still be there. A run that ends normally deletes the file. A run
that was killed, or whose server was unreachable, leaves it for the next run on that server, or for ``ipclab
down --url``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ipclab.backends.base import BrokerKind
from ipclab.brokers import kinds, processes, state
from ipclab.brokers.base import Broker, ProviderName
from ipclab.errors import BrokerUnavailableError
from ipclab.host.identity import ProcessId

_PREFIX = ".names-"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What one run may have left on one server: the names that begin with ``{run}:{trial}:``."""

    run: str
    kind: BrokerKind
    provider: ProviderName
    server: str
    owner: ProcessId
    began_utc: str
    trials: list[int]

    @property
    def namespaces(self) -> list[str]:
        """Return the prefix of the names of each of these trials, without the colon after it."""
        return [f"{self.run}:{trial}" for trial in self.trials]


class Marks:
    """The mark of the calling run on one server. Not thread-safe; not usable in a forked child."""

    def __init__(self, broker: Broker, run: str, began_utc: str) -> None:
        self._path = state.home() / f"{_PREFIX}{broker.kind}-{os.urandom(4).hex()}.json"
        self._mark = Mark(
            run=run,
            kind=broker.kind,
            provider=broker.provider,
            server=_server(broker.kind, broker.url),
            owner=processes.this_process(),
            began_utc=began_utc,
            trials=[],
        )

    @property
    def left(self) -> list[int]:
        """Return the trials whose names may still be on the server."""
        return list(self._mark.trials)

    def begin(self, trial: int) -> None:
        """Note a trial before it makes anything on the server. Raise OSError."""
        self._write([*self._mark.trials, trial])

    def cleaned(self, trial: int) -> None:
        """Remove a trial that has left nothing from the mark. Raise OSError."""
        self._write([one for one in self._mark.trials if one != trial])

    def clean(self, url: str) -> str:
        """Remove what these trials left; return in one line what remains and how to remove it, empty for
        nothing."""
        try:
            kinds.get(self._mark.kind).remove(url, self._mark.namespaces)
        except BrokerUnavailableError as error:
            how = "ipclab down --url" if self._mark.provider == "url" else "ipclab down"
            stays = ", ".join(f"{namespace}:…" for namespace in self._mark.namespaces)
            return f"{stays} may have stayed on {self._mark.server} ({error}); '{how}' removes it"
        self._write([])
        return ""

    def _write(self, trials: list[int]) -> None:
        self._mark = msgspec.structs.replace(self._mark, trials=trials)
        if trials:
            _store(self._path, self._mark)
        else:
            self._path.unlink(missing_ok=True)


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one mark: ``names`` were removed, or ``problem`` says why not."""

    mark: Mark
    names: int = 0
    problem: str = ""

    def __str__(self) -> str:
        mark = self.mark
        whose = f"the run of {mark.began_utc} (pid {mark.owner.pid}), which is gone, on {mark.server}"
        if self.problem:
            return f"what was left by {whose} could not be removed: {self.problem}"
        what = {0: "no name", 1: "one name"}.get(self.names, f"{self.names} names")
        return f"removed {what} left by {whose}"


def sweep(kind: BrokerKind, url: str) -> list[Removed]:
    """Remove from a server what dead runs have left there; return the result for each.

    Runs that live, and those of another machine or PID namespace, are left alone. A server that fails
    meanwhile raises nothing: its marks stay.
    """
    server = _server(kind, url)
    done = []
    for path, mark in _marks():
        if mark.kind == kind and mark.server == server and state.is_left(mark.owner):
            try:
                names = kinds.get(kind).remove(url, mark.namespaces)
            except BrokerUnavailableError as error:
                done.append(Removed(mark=mark, problem=str(error)))
            else:
                path.unlink(missing_ok=True)
                done.append(Removed(mark=mark, names=names))
    return done


def forget(provider: ProviderName, server: str = "") -> None:
    """Delete the marks of dead runs on servers of this provider that ended together with their data."""
    for path, mark in _marks():
        if mark.provider == provider and server in ("", mark.server) and state.is_left(mark.owner):
            path.unlink(missing_ok=True)


def _marks() -> Iterator[tuple[Path, Mark]]:
    for path in sorted(state.home().glob(f"{_PREFIX}*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            yield path, msgspec.json.decode(path.read_bytes(), type=Mark)


def _store(path: Path, mark: Mark) -> None:
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(mark))
    new.replace(path)


def _server(kind: BrokerKind, url: str) -> str:
    """Return the name of the server in a mark: never its user, password or options."""
    host, port = kinds.get(kind).address(url)
    where = f"{host}:{port}" if host is not None else ""
    return f"{kinds.get(kind).title} at {where}{urlsplit(url).path}"
