"""What a trial with work adds to a measurement: the wait for jobs that failed, and its findings."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import numpy as np

from ipclab.trial import work_analysis
from ipclab.trial.analysis import Window
from ipclab.trial.assignment import content, tails
from ipclab.trial.measurement import Findings, Measurement
from ipclab.trial.message import Originals, trial_mark
from ipclab.trial.processes import Crew

LOOK_S = 0.02


def settle(
    crew: Crew, measurement: Measurement, originals: Originals, sent: Sequence[int], *, within_s: float
) -> None:
    """Wait until every job that was received is finished, or no more are being finished.

    A job whose handler raised is delivered again within ``within_s``. Stop messages must not overtake it.
    """
    quiet_s = measurement.spec.drain_s + within_s
    moved_s, before = time.monotonic(), -1
    while not crew.failures and time.monotonic() - moved_s < quiet_s:
        found = work_analysis.jobs(measurement.spec, measurement.logs, originals, sent)
        if not found.unfinished:
            return
        if (now := found.finished + found.failed) != before:
            moved_s, before = time.monotonic(), now
        crew.listen(LOOK_S)


def with_work(
    findings: Findings,
    measurement: Measurement,
    crew: Crew,
    window: Window,
    due_ns: dict[int, list[int]],
) -> Findings:
    """Return the findings of a trial with those of its work: jobs count where their work ended.

    ``due_ns`` has the intended send times from the start of the trial on, by producer (paced trials).
    """
    spec = measurement.spec
    start_ns = window.start_ns - int(spec.warmup_s * 1e9)
    made_from = content(spec, measurement.site.namespace)
    found = work_analysis.analyse(
        spec,
        measurement.logs,
        window,
        originals=Originals(tails(spec, made_from), trial_mark(made_from)),
        due_ns={i: np.asarray(due, np.int64) + start_ns for i, due in due_ns.items()},
        returned=sum(w.done.returned for w in crew.by_role("consumer") if w.done),
    )
    latency = msgspec.structs.replace(findings.latency, end_to_end=found.end_to_end, service=found.service)
    return Findings(
        count=found.count,
        received=findings.received,
        latency=latency,
        ledger=findings.ledger,
        work=found.worked,
    )
