"""Whether a trial can run on several machines."""

from __future__ import annotations

from ipclab.backends.base import Site
from ipclab.backends.declared import guarantees_of
from ipclab.backends.registry import channel_class, counter_class
from ipclab.errors import UsageError
from ipclab.trial import workloads
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workloads import COUNTER, PACED, PING_PONG, STREAM

POSSIBLE = (STREAM, PACED, PING_PONG, COUNTER)


def check(spec: TrialSpec) -> None:
    """Refuse a trial that several machines cannot run. Raise UsageError or UnknownNameError."""
    workload = workloads.of(spec)
    if workload not in POSSIBLE:
        raise UsageError(
            f"the workload {workload.name} runs on one machine: leave out --host, or choose an experiment of "
            f"{', '.join(one.name for one in POSSIBLE)}"
        )
    if workload is COUNTER:
        reach = counter_class(spec.backend)(Site(namespace="ipclab:check"), **spec.backend.options).reach
    else:
        reach = guarantees_of(channel_class(spec.backend), spec.backend.options).reach
    if reach != "network":
        raise UsageError(
            f"{spec.backend} reaches one {reach} only, so it cannot connect machines: leave out --host, or "
            "choose a backend with a server"
        )
    if spec.work_fail_share:
        raise UsageError("work that fails is measured on one machine: leave out --work-fail or --host")
    if spec.codec == "shm":
        raise UsageError("shared memory connects the processes of one machine: choose another --codec")
    if spec.payload.startswith("file:"):
        raise UsageError("a payload from a file is on one machine only: choose another --payload")
