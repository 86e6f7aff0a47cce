"""Lists the running servers of the lab, and ends those that should not run any longer."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass

from ipclab.backends.base import BrokerKind
from ipclab.brokers import compose, engine, kinds, marks, native, services, state, url
from ipclab.brokers.base import Broker, ProviderName, mask
from ipclab.errors import BrokerUnavailableError, IpclabError


@dataclass(frozen=True, slots=True)
class Status:
    """One broker that runs, or that the environment names; safe to show and to store.

    ``problem`` is empty for a broker that answers. ``held_by_run`` is the pid of the lab process that uses it
    alone.
    """

    kind: BrokerKind
    provider: ProviderName
    masked_url: str
    version: str
    where: str
    started_at_s: float | None
    ours: bool
    problem: str = ""
    held_by_run: int | None = None


@url.kept_from_children()
def down() -> list[Status]:
    """End what ``up()`` started, the compose project ``ipclab`` with its volumes, and what dead runs left
    behind; return what was ended.

    Another project that happens to have that name is left alone. Raise IpclabError where the two are mixed,
    and where something could not be ended.
    """
    ended = [status for record in state.sweep() for status in _swept(record)]
    left: list[str] = []
    lasting = [found for found in status() if found.ours and found.held_by_run is None]
    ended += [found for found in lasting if found.provider != "native"]
    for folder, record in state.records():
        if isinstance(record, state.NativeRecord) and record.owner is None:
            if state.end(folder, record):
                ended.append(_native_status(record))
            else:
                left.append(
                    f"{record.kind} in {folder} (of another PID namespace or machine, or it does not end)"
                )
    marks.forget("native")
    _take_down_lasting_project(any(found.provider == "compose" for found in lasting))
    if left:
        raise IpclabError(f"not ended: {', '.join(left)}")
    return ended


def _take_down_lasting_project(runs: bool) -> None:
    try:
        others = compose.strangers(engine.find())
    except BrokerUnavailableError:
        return
    if others:
        if runs:
            raise IpclabError(
                f"the compose project {compose.PROJECT} was not removed, because {', '.join(others)} in it "
                "is not ipclab's: remove what you do not need with 'docker compose rm'"
            )
        return
    if not engine.take_down(compose.PROJECT):
        raise IpclabError(f"docker compose could not take down the project {compose.PROJECT}")
    marks.forget("compose")


def _swept(record: state.Record) -> list[Status]:
    """Return the status lines of what a dead run left behind."""
    assert record.owner is not None
    whose = f"left behind by the run with pid {record.owner.pid}"
    if isinstance(record, state.NativeRecord):
        status = _native_status(record)
        return [dataclasses.replace(status, where=f"{status.where}, {whose}")]
    return [
        Status(kind, "compose", "", "", f"project {record.project}, {whose}", None, ours=True)
        for kind in record.kinds
    ]


@url.kept_from_children()
def status() -> list[Status]:
    """Return every broker that a run would find, and those that runs hold for themselves. Start nothing."""
    found: list[Status] = []
    for kind in kinds.names():
        try:
            broker = url.connect(kind)
        except IpclabError as error:
            named = url.find(kind) if isinstance(error, BrokerUnavailableError) else None
            masked = mask(named[1]) if named else ""
            found.append(Status(kind, "url", masked, "", "", None, ours=False, problem=str(error)))
        else:
            if broker is not None:
                found.append(_status(broker))
        with contextlib.suppress(BrokerUnavailableError):
            if (service := services.connect(kind)) is not None:
                found.append(dataclasses.replace(_status(service), ours=False))
    records = list(state.records())
    holders: dict[str, int | None] = {compose.PROJECT: None}
    holders |= {r.project: r.owner.pid for _, r in records if isinstance(r, state.ComposeRecord)}
    with contextlib.suppress(BrokerUnavailableError):
        host = engine.find()
        for project, holder in holders.items():
            running = compose.running(host, compose.served(), project)
            found += [_status(broker, holder) for broker in running.values()]
    for folder, record in records:
        if isinstance(record, state.NativeRecord) and state.is_running(record):
            holder = record.owner.pid if record.owner else None
            found.append(_status(native.NativeBroker(folder, record), holder))
    return found


def _native_status(record: state.NativeRecord) -> Status:
    """Return the status of a server from its record; the server may have ended."""
    where = f"pid {record.processes[-1].pid}" if record.processes else "not yet started"
    return Status(
        record.kind, "native", mask(record.url), record.version, where, record.started_at_s, ours=True
    )


def _status(broker: Broker, held_by_run: int | None = None) -> Status:
    return Status(
        broker.kind,
        broker.provider,
        broker.masked_url,
        broker.version,
        broker.where,
        broker.started_at_s,
        broker.ours,
        held_by_run=held_by_run,
    )
