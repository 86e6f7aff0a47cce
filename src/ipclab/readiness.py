"""Checks, before anything is measured, whether the servers of a run can be used for it.

A server that cannot be used is refused in one line that names the cause. A run harms no user's server: its
data are limited to the free memory, and it stops where the server would drop items of others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial

import msgspec

from ipclab.backends import checked
from ipclab.backends.base import BrokerKind, Site
from ipclab.backends.registry import backend_class
from ipclab.backends.tasks.base import TaskQueue
from ipclab.brokers import Broker, Fleet, kinds
from ipclab.errors import BrokerUnavailableError, IpclabError, UsageError
from ipclab.experiment import Plan
from ipclab.host.text import line_of
from ipclab.results.result import Unavailable
from ipclab.trial import workloads
from ipclab.trial.spec import TrialSpec

OVERHEAD_BYTES = 100
"""What a message takes on a server in addition to its body, roughly."""
LEAST_BACKLOG = 64
"""With fewer messages in flight, a stream measures turn-taking and not transport."""
SPARE_CONNECTIONS = 4
"""Connections of the lab itself in addition to the workers: set-up, probe, and a worker that reconnects."""


def prepare(plan: Plan, fleet: Fleet, asked: Set[str], *, may_evict: bool) -> tuple[Plan, list[Unavailable]]:
    """Read the settings of every server of the fleet; return the plan fitted to them, and what was refused.

    Raise BrokerUnavailableError for a server that cannot be used, UsageError for one that would drop items
    of others, and for a missing permission of a backend in ``asked``.
    """
    trials = list(plan.trials)
    for broker in fleet.brokers.values():
        mine = [spec for spec in trials if _broker_of(spec) == broker.kind]
        _check_server(broker, mine)
        if not broker.ours:
            fitted = iter(_fit(broker, mine, may_evict=may_evict))
            trials = [next(fitted) if _broker_of(spec) == broker.kind else spec for spec in trials]
    refused = _refused(trials, fleet.brokers)
    for each in refused:
        if each.backend in asked:
            raise UsageError(f"{each.backend}: {each.reason}")
    names = {each.backend for each in refused}
    kept = [spec for spec in trials if str(spec.backend) not in names]
    return replace(plan, trials=kept), refused


def _broker_of(spec: TrialSpec) -> BrokerKind | None:
    return backend_class(workloads.face(spec), spec.backend).broker


def _check_server(broker: Broker, trials: Sequence[TrialSpec]) -> None:
    kind = kinds.get(broker.kind)
    with _answering(broker, "describe()"):
        state = kind.describe(broker)
    broker.settings = state.settings
    where = f"{kind.title} at {broker.masked_url}"
    if state.unusable:
        raise BrokerUnavailableError(f"{where} {state.unusable}")
    wanted = max((spec.producers + spec.consumers for spec in trials), default=0) + SPARE_CONNECTIONS
    if state.free_connections is not None and state.free_connections < wanted:
        raise BrokerUnavailableError(
            f"{where} accepts {state.free_connections} more clients, but this run needs {wanted}: "
            "raise its limit on clients, or choose fewer --producers and --consumers"
        )


@contextlib.contextmanager
def _answering(broker: Broker, call: str) -> Iterator[None]:
    """Raise BrokerUnavailableError, with the name of the call, for any error of a kind of another package."""
    try:
        yield
    except IpclabError:
        raise
    except Exception as error:
        where = f"{kinds.get(broker.kind).title} at {broker.masked_url}"
        raise BrokerUnavailableError(f"{where}: {call} of its kind raised {line_of(error)}") from error


def _fit(broker: Broker, trials: Sequence[TrialSpec], *, may_evict: bool) -> list[TrialSpec]:
    """Return the trials, limited to as many messages in flight as fill half of the server's free memory."""
    return [_fit_one(broker, spec, may_evict=may_evict) for spec in trials]


def _fit_one(broker: Broker, spec: TrialSpec, *, may_evict: bool) -> TrialSpec:
    kind = kinds.get(broker.kind)
    item_bytes = spec.size_bytes + OVERHEAD_BYTES
    with _answering(broker, "room()"):
        room = kind.room(broker.url, item_bytes)
    if room is None or may_evict:
        return spec
    most = spec.backlog
    fits = room.free_bytes // 2 // item_bytes
    if fits >= most:
        return spec
    least = min(LEAST_BACKLOG, most)
    if fits < least:
        where = f"{kind.title} at {broker.masked_url} has {room.free_bytes} bytes free"
        what = f"a trial of {spec.backend} with {spec.size_bytes} bytes a message"
        if room.evicts:
            many = room.evicted_by(most * item_bytes)
            raise UsageError(
                f"{where}, and {what} would make it drop about {many} of its {room.items} items: "
                "free some memory, or allow that with --may-evict"
            )
        raise UsageError(f"{where}, too few for {what}: raise its memory limit, or choose a smaller --size")
    return msgspec.structs.replace(spec, max_backlog=fits)


def _refused(trials: Sequence[TrialSpec], brokers: Mapping[BrokerKind, Broker]) -> list[Unavailable]:
    """Return the backends that their server refuses to carry for this user, each with the reason."""
    found: dict[str, str] = {}
    for spec in trials:
        face, name = workloads.face(spec), str(spec.backend)
        of = backend_class(face, spec.backend)
        broker = brokers.get(of.broker) if of.broker else None
        if broker is None or broker.ours or name in found or issubclass(of, TaskQueue):
            continue
        site = Site(namespace="ipclab:probe", window=spec.window, url=broker.url)
        found[name] = checked.lacks(spec.backend.name, partial(of, site, **spec.backend.options))
    return [Unavailable(backend=name, reason=reason) for name, reason in found.items() if reason]
