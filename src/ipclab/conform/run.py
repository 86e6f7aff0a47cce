"""Runs the suite for some backends: finds their servers, checks case after case."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ipclab import __version__
from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant, backend_class, is_known
from ipclab.brokers import Broker, ProviderName, acquire, url
from ipclab.conform import process, suite
from ipclab.conform.modes import Mode
from ipclab.conform.outcome import Conformance, Outcome
from ipclab.conform.suite import Case
from ipclab.errors import BrokerUnavailableError, UsageError

OnEvent = Callable[[str], None]
OnOutcome = Callable[[int, int, Outcome], None]
"""Gets the number of a case, how many there are, and its outcome."""


@url.kept_from_children()
def run(
    asked: Sequence[Variant],
    *,
    provider: ProviderName | None = None,
    install: bool | None = None,
    on_event: OnEvent,
    on_outcome: OnOutcome,
) -> Conformance:
    """Check these backends against what they declare, and return the outcome of every case.

    The server of a backend is killed and started again where the lab started it; where it is the user's,
    such cases are undecided. Raise UsageError or a subclass for a name that is no backend or has no promises,
    BrokerUnavailableError where a server is missing. No other thread may run.
    """
    cases = suite.cases(asked)
    _require_promises(asked, cases)
    wanted = sorted({kind for case in cases if (kind := broker_of(case))})
    with acquire(wanted, provider=provider, install=install, on_event=on_event, exclusive=wanted) as fleet:
        for reason in fleet.missing.values():
            raise BrokerUnavailableError(reason)
        folder = Path(tempfile.mkdtemp(prefix="ipclab-conform-"))
        outcomes: list[Outcome] = []
        try:
            for number, case in enumerate(cases, 1):
                outcomes.append(_outcome(case, fleet.brokers, folder))
                on_outcome(number, len(cases), outcomes[-1])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        versions = {"ipclab": __version__, "python": platform.python_version()}
        versions |= {kind: broker.version for kind, broker in sorted(fleet.brokers.items())}
    return Conformance(backends=[str(variant) for variant in asked], versions=versions, outcomes=outcomes)


def broker_of(case: Case) -> BrokerKind | None:
    """Return the kind of server that this case needs."""
    subject = case.subject
    if isinstance(subject, Mode):
        return subject.channel.broker
    return backend_class("counter", subject).broker


def _outcome(case: Case, brokers: Mapping[BrokerKind, Broker], folder: Path) -> Outcome:
    kind = broker_of(case)
    if kind is None:
        return process.run(case, {}, folder)
    broker = brokers[kind]
    if case.promise.needs == "breaks" and not broker.ours:
        return process.undecided(case, f"the server {broker.masked_url} is yours, so it is not killed")
    if broker.ours:
        # A check that failed may have left it dead.
        broker.revive()
    return process.run(case, {kind: broker}, folder)


def _require_promises(asked: Sequence[Variant], cases: Sequence[Case]) -> None:
    """Raise UsageError where a backend makes none of the promises of the suite."""
    checked = {
        case.subject.variant.name if isinstance(case.subject, Mode) else case.subject.name for case in cases
    }
    for variant in asked:
        if variant.name not in checked:
            if is_known("task", variant.name):
                raise UsageError(
                    f"{variant.name} is a task queue: the suite checks channels and counters; "
                    f"check it by: ipclab run tasks -b {variant.name}"
                )
            faces = [face for face in ("register", "lock") if is_known(face, variant.name)]
            raise UsageError(
                f"{variant.name} is a {' and a '.join(faces)}: the suite checks channels and counters; "
                f"check it by: ipclab run race -b {variant.name}"
            )
