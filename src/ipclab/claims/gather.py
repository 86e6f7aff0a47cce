"""Runs several claims, with the brokers that they need."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ipclab.backends.base import BrokerKind
from ipclab.claims import catalogue
from ipclab.claims.base import Claim
from ipclab.claims.bench import EXPERIMENT
from ipclab.claims.outcome import Conditions, Outcome, Run, broker_missing, conditions, new_run, settle
from ipclab.claims.supervisor import measure
from ipclab.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from ipclab.brokers import Fleet
    from ipclab.brokers.fleet import Provider


class Observer(Protocol):
    """Receives the progress of a run, between the experiments and never during one."""

    def note(self, line: str) -> None: ...

    def starting(self, index: int, name: str, claim: Claim[Any]) -> None: ...

    def finished(self, outcome: Outcome, conditions: Conditions) -> None: ...


def run(
    claims: Mapping[str, Claim[Any]],
    *,
    provider: Provider,
    install: bool | None,
    live: bool,
    observer: Observer,
    before: Run | None = None,
    keep: Callable[[Run], object] = lambda _: None,
) -> Run:
    """Run these claims in their order. ``live`` lets the experiments print what happens in them.

    ``before`` is a run that was interrupted: what it has settled is taken from it. ``keep`` is called with
    the run so far after each claim that is settled, and what it raises is raised.

    A claim without its broker is not run, and its outcome says why. Brokers that were started for this run,
    and all processes, are ended also when the run is interrupted.
    """
    from ipclab.brokers.url import kept_from_children
    from ipclab.host import folders

    folders.sweep()
    began_utc = (
        before.began_utc if before else datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    )
    settled = {outcome.name: outcome for outcome in before.outcomes} if before else {}
    left = {name: claim for name, claim in claims.items() if name not in settled}
    with kept_from_children(), _Brokers(left, provider, install, observer.note) as brokers:
        here = conditions({**(before.conditions.brokers if before else {}), **brokers.described})
        for index, (name, claim) in enumerate(left.items()):
            observer.starting(index, name, claim)
            reasons = [brokers.missing[kind] for kind in claim.needs if kind in brokers.missing]
            if reasons:
                outcome = broker_missing(name, claim, "; ".join(reasons))
            else:
                measured = measure(
                    catalogue.path(name),
                    note=observer.note,
                    environ=brokers.environ(claim),
                    live=live,
                    begins=partial(brokers.mark, claim),
                )
                outcome = settle(name, claim, measured)
            settled[name] = outcome
            keep(_so_far(here, claims, settled, began_utc))
            observer.finished(outcome, here)
    return _so_far(here, claims, settled, began_utc)


def _so_far(
    here: Conditions, claims: Mapping[str, Claim[Any]], settled: Mapping[str, Outcome], began_utc: str
) -> Run:
    """Return the run with what is settled, in the order of the claims."""
    outcomes = [settled[name] for name in claims if name in settled]
    return new_run(here, outcomes, began_utc, [name for name in claims if name not in settled])


class _Brokers:
    """The brokers that the claims need: found or started on entry, and ended on exit if they were started."""

    def __init__(
        self,
        claims: Mapping[str, Claim[Any]],
        provider: Provider,
        install: bool | None,
        on_event: Callable[[str], None],
    ) -> None:
        self._needs = {kind for claim in claims.values() for kind in claim.needs}
        self._provider = provider
        self._install = install
        self._on_event = on_event
        self._fleet: Fleet | None = None
        self.missing: dict[BrokerKind, str] = {}
        self._environ = dict(os.environ)
        self._urls: dict[BrokerKind, tuple[str, str]] = {}
        self.described: dict[str, str] = {}

    def __enter__(self) -> _Brokers:
        if not self._needs:
            return self
        # The import takes half a second, for which a run without brokers need not wait.
        from ipclab.brokers import acquire, kinds, marks

        needed = [kind for kind in kinds.names() if kind in self._needs]
        try:
            self._fleet = acquire(
                needed, provider=self._provider, install=self._install, on_event=self._on_event
            )
        except BrokerUnavailableError as error:
            # A failure of a named or forced broker leaves none of them; the other claims can continue.
            self.missing = dict.fromkeys(needed, str(error))
            return self
        self.missing = {**self._fleet.missing}
        for kind, broker in self._fleet.brokers.items():
            self._urls[kind] = kinds.get(kind).variables[0], broker.url
            self.described[kind] = f"{broker.version} ({broker.provider})"
            for removed in marks.sweep(kind, broker.url) if broker.outlives_run else ():
                self._on_event(str(removed))
        return self

    def mark(self, claim: Claim[Any], run: str) -> Callable[[], None]:
        """Note on each server that outlives this run what an experiment may leave there.

        Return what forgets that, for when nothing is left. Raises OSError.
        """
        if self._fleet is None:
            return lambda: None
        from ipclab.brokers import marks

        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        brokers = [self._fleet.brokers[kind] for kind in claim.needs if kind in self._fleet.brokers]
        made = [marks.Marks(broker, run, began) for broker in brokers if broker.outlives_run]
        for one in made:
            one.begin(EXPERIMENT)

        def forget() -> None:
            for one in made:
                one.cleaned(EXPERIMENT)

        return forget

    def environ(self, claim: Claim[Any]) -> dict[str, str]:
        """Return the environment of the claim's experiment, with the URLs of the brokers that it needs."""
        return self._environ | dict(self._urls[kind] for kind in claim.needs if kind in self._urls)

    def __exit__(self, *_: object) -> None:
        if self._fleet is not None:
            self._fleet.close()
