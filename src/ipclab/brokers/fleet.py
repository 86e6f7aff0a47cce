"""Gathers the brokers of a run from all providers: the public interface of this package.

For each broker, the first of these that applies: a URL in the environment; a service beside the lab, where
the lab is a container of the compose project; a running container of the compose project ``ipclab``, or a
running private server of ``ipclab up``; a container started for this run; a private server started for this
run; Debian's packages and then a private server. A broker that none of these gives is missing, with the
reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from ipclab.backends.base import BrokerKind
from ipclab.brokers import (
    compose,
    engine,
    keeper,
    kinds,
    native,
    processes,
    services,
    settings,
    stand_ins,
    state,
    url,
)
from ipclab.brokers import install as packages
from ipclab.brokers.base import Broker, ProviderName
from ipclab.brokers.leases import Lease
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.interruptions import ending_blocked

Provider = ProviderName | Mapping[BrokerKind, ProviderName] | None
OnEvent = Callable[[str], None]


CLOSE_WITHIN_S = 30.0
HURRIED_S = 8.0
"""Seconds that a Docker engine gets to end things after an interruption; the keeper continues after it."""


def _silent(_: str) -> None:
    """Ignore an event."""


class Fleet:
    """The brokers that were gathered (``brokers``) and those that were not (``missing``, with the reason).

    ``passed_over`` says, for a broker that was found, why an earlier provider was not used. A context
    manager: ``close()`` ends what this fleet started and leaves everything else alone. Not thread-safe; a
    forked child that closes its copy closes nothing.
    """

    def __init__(self) -> None:
        self.brokers: dict[BrokerKind, Broker] = {}
        self.missing: dict[BrokerKind, str] = {}
        self.passed_over: dict[BrokerKind, str] = {}
        self._mine: list[Broker] = []
        """What ``up`` has added to a lasting compose project; it is in no record."""
        self._folders: list[Path] = []
        """The records of what was started for this fleet."""
        self._leases: list[Lease] = []
        self._keeper: processes.ProcessId | None = None
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(within_s=CLOSE_WITHIN_S if kind is None else HURRIED_S)

    def close(self, *, within_s: float = CLOSE_WITHIN_S) -> None:
        """End what this fleet started. Safe to call again.

        ``within_s`` bounds the time for a Docker engine that does not answer. Signals that end the lab wait
        until this is done, which takes seconds. What could not be ended keeps its record and the keeper,
        which tries again when the process has ended.
        """
        if os.getpid() != self._pid:
            return
        with ending_blocked():
            while self._mine:
                self._mine[-1].stop()
                self._mine.pop()
            self._folders = [
                folder
                for folder in reversed(self._folders)
                if not state.end_folder(folder, within_s=within_s)
            ]
            while self._leases:
                self._leases.pop().release()
            if self._keeper is not None and not self._folders:
                processes.end([self._keeper])
                self._keeper = None

    def _present_as(self, names: Mapping[BrokerKind, BrokerKind]) -> None:
        """Give each server that stands in for another kind the name of that kind, by which backends ask."""
        for server, kind in names.items():
            if server in self.brokers:
                self.brokers[kind] = self.brokers.pop(server)
                self.brokers[kind].kind = kind
            for reasons in (self.missing, self.passed_over):
                if server in reasons:
                    reasons[kind] = reasons.pop(server)

    def _note(self, folder: Path) -> None:
        """Remember a record, while signals that end the lab wait."""
        self._folders.append(folder)

    def _guard(self) -> None:
        with ending_blocked():
            if self._keeper is None:
                self._keeper = keeper.start()


def acquire(
    names: Sequence[BrokerKind],
    *,
    provider: Provider = None,
    install: bool | None = None,
    on_event: OnEvent = _silent,
    exclusive: Collection[BrokerKind] = (),
) -> Fleet:
    """Find or start these brokers for a run; ``Fleet.close()`` ends what was started for it.

    Brokers in ``exclusive`` are for this run alone, because it will break them or change their settings. A
    server of ``up`` that other runs use is then skipped, and other runs skip it until the fleet is closed.
    ``provider`` forces one, for all or by kind. ``install`` says whether Debian's packages may be installed
    (None: if root). ``on_event`` gets a line about each step, because a step can take a minute.

    A kind for which another stands in (``stand_ins``) gets a server of that other kind.

    Raise BrokerUnavailableError where a URL is set and its server does not answer, or where a forced
    provider fails; UsageError for an invalid URL. Nothing is left running when this raises.
    """
    fleet = Fleet()
    try:
        if not names:
            # A run without servers needs no folder for them.
            with contextlib.suppress(BrokerUnavailableError):
                state.sweep()
            return fleet
        state.sweep()
        serving = {kind: server for kind, server in stand_ins.chosen().items() if kind in names}
        server_of = partial(_renamed, serving)
        if isinstance(provider, Mapping):
            provider = {server_of(kind): one for kind, one in provider.items()}
        alone = [server_of(kind) for kind in exclusive]
        search = _Search(fleet, provider, install, on_event, lasting=False, exclusive=alone)
        search.gather([server_of(kind) for kind in names])
        fleet._present_as({server: kind for kind, server in serving.items()})
    except BaseException:
        fleet.close(within_s=HURRIED_S)
        raise
    return fleet


@url.kept_from_children()
def up(
    names: Sequence[BrokerKind] | None = None,
    *,
    provider: Provider = None,
    install: bool | None = None,
    on_event: OnEvent = _silent,
) -> Fleet:
    """Gather like ``acquire``, but what is started stays until ``down()``, also when this process ends."""
    fleet = Fleet()
    try:
        state.sweep()
        for folder, record in state.records():
            if isinstance(record, state.NativeRecord) and record.owner is None:
                _replace_if_ended(folder, record)
        _Search(fleet, provider, install, on_event, lasting=True).gather(names or kinds.usual())
    except BaseException:
        fleet.close(within_s=HURRIED_S)
        raise
    fleet._mine.clear()
    fleet._folders.clear()
    fleet.close()
    return fleet


def _renamed(names: Mapping[BrokerKind, BrokerKind], kind: BrokerKind) -> BrokerKind:
    return names.get(kind, kind)


def _replace_if_ended(folder: Path, record: state.NativeRecord) -> None:
    """End what is left of a lasting server that has ended, unless a run has ended it to start it again."""
    if not state.is_running(record) and (lease := Lease.take(folder.name, exclusive=True)) is not None:
        state.end(folder, record)
        lease.release()


def _other_settings(broker: Broker) -> str:
    try:
        changed = settings.changed(broker)
    except BrokerUnavailableError as error:
        return str(error)
    return f"another run has set {changed}; 'ipclab down' ends it" if changed else ""


class _Search:
    """Tries the providers in their order, each for all brokers that are still wanted."""

    def __init__(
        self,
        fleet: Fleet,
        provider: Provider,
        may_install: bool | None,
        on_event: OnEvent,
        *,
        lasting: bool,
        exclusive: Collection[BrokerKind] = (),
    ) -> None:
        self._fleet = fleet
        self._provider = provider
        self._may_install = may_install
        self._on_event = on_event
        self._lasting = lasting
        self._exclusive = exclusive
        self._reasons: dict[BrokerKind, list[str]] = {}

    def gather(self, names: Sequence[BrokerKind]) -> None:
        for kind in names:
            try:
                kinds.get(kind)
            except UsageError as error:
                self._fleet.missing[kind] = str(error)
                continue
            if lack := kinds.get(kind).lacks():
                self._fleet.missing[kind] = lack
        wanted = [kind for kind in kinds.names() if kind in names and kind not in self._fleet.missing]
        self._reasons = {kind: [] for kind in wanted}
        self._from_urls(self._still_wanted(wanted, "url"))
        self._from_services(self._still_wanted(wanted, "compose"))
        in_compose = self._with_service(wanted)
        host = self._engine(self._still_wanted(in_compose, "compose"))
        if host is not None:
            self._take(
                self._usable_of_lasting(compose.running(host, self._still_wanted(in_compose, "compose")))
            )
        already = native.running()
        still = self._still_wanted(wanted, "native")
        self._take(self._usable_of_lasting({kind: already[kind] for kind in still if kind in already}))
        if host is not None:
            self._from_compose(host, self._still_wanted(in_compose, "compose"))
        self._from_native(self._still_wanted(wanted, "native"))
        for kind in self._still_wanted(wanted, None):
            self._fleet.missing[kind] = self._explain(kind)

    def _with_service(self, names: Sequence[BrokerKind]) -> list[BrokerKind]:
        """Return those that have a service in compose.yaml; record the reason for the others."""
        without = [kind for kind in self._still_wanted(names, "compose") if kind not in compose.served()]
        self._fail("compose", dict.fromkeys(without, "compose.yaml has no service for it"))
        return [kind for kind in names if kind not in without]

    def _forced(self, kind: BrokerKind) -> ProviderName | None:
        if self._provider is None or isinstance(self._provider, str):
            return self._provider
        return self._provider.get(kind)

    def _still_wanted(self, names: Sequence[BrokerKind], provider: ProviderName | None) -> list[BrokerKind]:
        """Return the kinds that have no broker yet and for which this provider may be tried."""
        return [
            kind
            for kind in names
            if kind not in self._fleet.brokers
            and (provider is None or self._forced(kind) in {None, provider})
        ]

    def _take(self, found: Mapping[BrokerKind, Broker], *, started: bool = False) -> None:
        if started:
            # Enter all of them before any event: the receiver of events may raise.
            self._fleet._mine.extend(found.values())
        for kind, broker in found.items():
            self._fleet.brokers[kind] = broker
            if self._reasons[kind]:
                self._fleet.passed_over[kind] = "; ".join(self._reasons[kind])
            self._on_event(f"using {kinds.get(kind).title} {broker.version} at {broker.masked_url}")

    def _usable_of_lasting(self, found: Mapping[BrokerKind, Broker]) -> dict[BrokerKind, Broker]:
        """Return those that this run may use, and whose settings nobody has changed.

        A run that was killed in such a trial would leave its settings to be measured. ``up`` measures
        nothing, so it gets all of them.
        """
        if self._lasting:
            return dict(found)
        kept = {}
        for kind, broker in found.items():
            if reason := self._lease(kind, broker) or _other_settings(broker):
                self._reasons[kind].append(f"{broker.provider}: {reason}")
                self._on_event(f"not using {kinds.get(kind).title} at {broker.masked_url}: {reason}")
            else:
                kept[kind] = broker
        return kept

    def _lease(self, kind: BrokerKind, broker: Broker) -> str:
        """Take a lease on a server of ``up``; return why that is impossible, empty where it succeeded."""
        with ending_blocked():
            lease = Lease.take(broker.lease_name, exclusive=kind in self._exclusive)
            if lease is not None:
                self._fleet._leases.append(lease)
                return ""
        if kind in self._exclusive:
            return "another run uses it, and this run would disturb that one"
        return "another run tests it with faults or other settings at the moment"

    def _fail(self, provider: ProviderName, failed: Mapping[BrokerKind, str]) -> None:
        """Keep the reasons and continue, unless this provider was asked for by name."""
        for kind, reason in failed.items():
            if self._forced(kind) == provider:
                title = kinds.get(kind).title
                raise BrokerUnavailableError(f"the provider {provider} has no {title}: {reason}")
            self._reasons[kind].append(f"{provider}: {reason}")

    def _from_urls(self, names: Sequence[BrokerKind]) -> None:
        for kind in names:
            broker = url.connect(kind)
            if broker is not None:
                self._take({kind: broker})
            elif self._forced(kind) == "url":
                self._reasons[kind].append(f"url: {' or '.join(kinds.get(kind).variables)} is not set")

    def _from_services(self, names: Sequence[BrokerKind]) -> None:
        found: dict[BrokerKind, Broker] = {}
        for kind in names if services.beside() else ():
            try:
                if (broker := services.connect(kind)) is not None:
                    found[kind] = broker
            except BrokerUnavailableError as error:
                self._fail("compose", {kind: str(error)})
        self._take(self._usable_of_lasting(found))

    def _engine(self, names: Sequence[BrokerKind]) -> str | None:
        if names and not services.beside():
            try:
                return engine.find()
            except BrokerUnavailableError as error:
                self._fail("compose", dict.fromkeys(names, str(error)))
        return None

    def _from_compose(self, host: str, names: Sequence[BrokerKind]) -> None:
        if not names:
            return
        project = compose.PROJECT
        if self._lasting and (others := compose.strangers(host, by_name=True)):
            reason = f"another compose project is called {project} ({', '.join(others)})"
            self._fail("compose", dict.fromkeys(names, reason))
            return
        if not self._lasting:
            record = state.ComposeRecord(
                f"ipclab-{os.urandom(4).hex()}", processes.this_process(), tuple(names)
            )
            project = record.project
            with ending_blocked():
                self._fleet._note(state.create("compose", record))
            self._fleet._guard()
        ready, failed = compose.start(host, names, project, self._on_event)
        # The project of a run is removed as a whole; of the lasting one, only what was added now.
        self._take(ready, started=self._lasting)
        for kind, reason in failed.items():
            self._on_event(f"{kinds.get(kind).title}: {reason}")
        self._fail("compose", failed)

    def _from_native(self, names: Sequence[BrokerKind]) -> None:
        absent = [kind for kind in names if kinds.get(kind).find_program() is None]
        packaged = [kind for kind in absent if kinds.get(kind).package]
        if packaged and packages.is_possible(asked=self._may_install):
            self._on_event(f"installing {' '.join(packages.packages(packaged))}")
            try:
                packages.install(packaged)
            except BrokerUnavailableError as error:
                for kind in packaged:
                    self._reasons[kind].append(f"install: {error}")
        present = [kind for kind in names if kinds.get(kind).find_program() is not None]
        for kind in set(names) - set(present):
            self._reasons[kind].append(f"native: {kinds.get(kind).program or kind} is not installed")
        if not present:
            return
        self._fleet._guard()
        owner = None if self._lasting else processes.this_process()
        ready, failed = native.start(
            present, owner=owner, on_event=self._on_event, on_record=self._fleet._note
        )
        self._take(ready)
        self._fail("native", failed)

    def _explain(self, kind: BrokerKind) -> str:
        of = kinds.get(kind)
        others = [name for name in stand_ins.speakers(kind) if kinds.get(name).find_program() is not None]
        ways = [packages.command([kind]), *(f"use --server {kind}={name}" for name in others)]
        if of.service is not None:
            ways.append("start a Docker engine")
        if of.variables:
            ways.append(f"set {of.variables[0]}")
        advice = ", or ".join(way for way in ways if way)
        found = f"no {of.title} ({'; '.join(self._reasons[kind])})"
        return f"{found}. To get one: {advice}" if advice else found
