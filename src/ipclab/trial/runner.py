"""One measured run: from a frozen spec to a frozen record.

Phases: set up → connect → starting signal → warm-up → measured window → drain → stop → collect → tear down.
Start-up is never inside the window, and statistics come after it. The parent has no threads, so it may fork.
"""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ipclab.backends.base import Channel, Counter, Site
from ipclab.backends.registry import channel_class, counter_class
from ipclab.brokers.base import Broker
from ipclab.errors import ChannelError
from ipclab.trial import analysis, rawlog
from ipclab.trial.clock import now_ns
from ipclab.trial.meter import Meter
from ipclab.trial.pacing import schedule
from ipclab.trial.processes import Crew, Worker
from ipclab.trial.record import BrokerFacts, TrialRecord
from ipclab.trial.spec import TrialSpec, check
from ipclab.trial.worker import Assignment, Go, Quit, Stop, receipts_path, returns_path, sends_path

MOST_PER_S = 1_500_000
"""More messages than this a producer never sends; the logs, which are sparse files, have room for them."""
LEAD_S = 0.02
"""Between the starting signal and the start, so that every worker is waiting by then."""
STOP_ROUND_S = 0.25
"""A consumer that has not ended this long after a stop message is sent another one."""


@dataclass(slots=True)
class Ending:
    """How a trial ended, as it is found out."""

    hung: str = ""
    failed: str = ""
    stuck: dict[str, str] | None = None


def run_trial(spec: TrialSpec, *, namespace: str, broker: Broker | None = None) -> TrialRecord:
    """Run one trial and leave nothing behind.

    ``namespace`` begins every name that is made on the broker. A backend that fails, a worker that dies and
    a hang are results, told in the record. Raises UsageError and its kin for a trial that cannot be.
    """
    check(spec)
    began_utc = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    site = Site(
        namespace=namespace,
        producers=spec.producers,
        consumers=spec.consumers,
        window=spec.window,
        start_method=spec.start_method,
        url=broker.url if broker else None,
    )
    with tempfile.TemporaryDirectory(prefix="ipclab-trial-", ignore_cleanup_errors=True) as folder:
        trial = _Trial(spec, site, broker, Path(folder))
        try:
            record = trial.run()
        finally:
            trial.teardown()
    facts = broker and BrokerFacts(
        kind=broker.kind, provider=broker.provider, version=broker.version, url=broker.masked_url
    )
    return analysis.with_facts(record, began_utc=began_utc, broker=facts)
