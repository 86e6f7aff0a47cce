"""Whether the work of a trial is possible on its channel."""

from __future__ import annotations

from ipclab.backends.base import Channel, Site
from ipclab.errors import UsageError
from ipclab.trial import work, workloads
from ipclab.trial.spec import MOST_FAILING, TrialSpec


def require_possible(spec: TrialSpec, channel: type[Channel]) -> None:
    """Raise UsageError where consumers cannot do the work of this trial as it is asked for."""
    if not spec.work:
        if spec.work_fail_share:
            raise UsageError("only work can fail: give --work too, or leave out --work-fail")
        return
    if "work" not in workloads.of(spec).options:
        raise UsageError(f"the consumers of {spec.workload} do no work")
    if str(work.parse(spec.work)) != spec.work:
        raise UsageError(f"work {spec.work!r} is written {work.parse(spec.work)}")
    if not 0 <= spec.work_fail_share <= MOST_FAILING:
        raise UsageError(
            f"the share of jobs that fail is at most {MOST_FAILING:.0%}, not {spec.work_fail_share:g}"
        )
    if spec.window > 1:
        raise UsageError("consumers with work take one message at a time: use --window 1")
    made = channel(Site(namespace="ipclab:check", url=None), **spec.backend.options)
    if spec.consumers > 1 and made.guarantees.fan_out:
        raise UsageError(
            f"{channel.name} hands every message to every consumer, so {spec.consumers} consumers cannot "
            f"share the work: use --consumers 1"
        )
