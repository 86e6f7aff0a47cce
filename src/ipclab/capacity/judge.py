"""Whether a trial kept the limit of its study at its rate."""

from __future__ import annotations

from typing import Literal

import msgspec

from ipclab.capacity.evidence import Outcome
from ipclab.trial.distribution import beyond
from ipclab.trial.record import TrialRecord
from ipclab.trial.study import Slo

CARRIED = 0.95
"""At least this share of what was offered within the window must have arrived within it."""
MOST_OTHERS_CORES = 0.5
"""A trial that failed while other programs used more than this many cores is void, and so is one of which
that is not known."""

Reason = Literal["", "slow", "lost", "not carried", "wrong", "unfinished", "clock"]
"""Why a trial does not hold: too many messages were slower than the limit; messages were lost; less than 95 %
was carried; the channel broke a declared guarantee; the trial did not finish; its latencies are withheld,
because the clocks of its machines are not known well enough. Empty where it holds."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of one trial, and the facts behind it.

    ``slow_share`` is the share of the messages due in the window that were slower than the limit, skipped or
    lost; ``carried_share`` is what arrived within the window, by what was due within it. Both are None where
    the trial did not finish.
    """

    outcome: Outcome
    reason: Reason = ""
    slow_share: float | None = None
    carried_share: float | None = None
    lost: int = 0
    others_cores: float | None = None


def judge_trial(trial: TrialRecord, slo: Slo) -> Judged:
    """Return whether a paced trial held. Raise ValueError for an unreadable histogram.

    A trial that failed is void unless it is known that no other program was at work: what a broker used
    cannot always be read, and on a busy machine less often than on an idle one. A trial whose latencies are
    withheld is void too. On several machines a latency counts as slow where the bound of their clocks allows
    that it was: what holds is proven.
    """
    others = trial.cost.others_cores if trial.cost is not None else None
    lost = trial.ledger.lost if trial.ledger is not None else 0
    slow, carried = slow_share(trial, slo), carried_share(trial)
    reason = _reason(trial, slo, slow, carried)
    void = reason == "clock" or (bool(reason) and (others is None or others > MOST_OTHERS_CORES))
    return Judged(
        outcome="void" if void else "fail" if reason else "hold",
        reason=reason,
        slow_share=slow,
        carried_share=carried,
        lost=lost,
        others_cores=others,
    )


def _reason(trial: TrialRecord, slo: Slo, slow: float | None, carried: float | None) -> Reason:
    if trial.outcome != "finished" or trial.ledger is None:
        return "unfinished"
    if trial.ledger.lost:
        return "lost"
    if trial.ledger.verdict == "invalid":
        return "wrong"
    if trial.machines is not None and trial.machines.withheld is not None:
        return "clock"
    if slow is None or carried is None:
        return "unfinished"
    if slow > 1 - slo.share + 1e-9:
        return "slow"
    return "not carried" if carried < CARRIED else ""


def slow_share(trial: TrialRecord, slo: Slo) -> float | None:
    """Return the share of the messages due within the window that came later than the limit, or never.

    None where there were none. A message is due once for each consumer that should get it.
    """
    if trial.outcome != "finished" or trial.ledger is None:
        return None
    came = trial.latency.end_to_end
    owed = trial.spec.consumers if trial.guarantees.get("fan_out") is True else 1
    never = trial.latency.skipped_sends * owed + trial.ledger.lost
    due = (came.count if came else 0) + never
    slow = (beyond(came, slo.limit_ns - trial.clock_bound_ns) if came else 0) + never
    return slow / due if due else None


def carried_share(trial: TrialRecord) -> float | None:
    """Return what arrived within the window, by what was due within it; None where nothing was due."""
    if trial.outcome != "finished" or trial.rate_per_s is None:
        return None
    sent = trial.latency.send.count if trial.latency.send else 0
    owed = trial.spec.consumers if trial.guarantees.get("fan_out") is True else 1
    due = (sent + trial.latency.skipped_sends) * owed
    return trial.rate_per_s * trial.window_s / due if due else None
