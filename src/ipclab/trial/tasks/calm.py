"""A calm trial of a task queue: the rates of a burst, its CPU time, and the latency of paced tasks."""

from __future__ import annotations

import numpy as np

from ipclab.checks.tasks import settle
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency
from ipclab.trial.task_facts import TaskFigures
from ipclab.trial.tasks.bench import Bench

WARM_UP = 5
BURST, BURST_IN_PROCESS = 200, 5000
MOST_PACED_PER_S = 200.0
SHARE_OF_CAPACITY = 0.4
"""The paced tasks come at this share of the rate of the burst, so that they do not queue up."""
BURST_WITHIN_S = 60.0


def measure(bench: Bench, versions: dict[str, str]) -> tuple[TaskFigures, Latency]:
    """Submit a burst, then tasks at a rate; return the figures and the latencies, which are open loop."""
    bench.start_submitter()
    worker = bench.start_worker()
    warm = [f"warm-{n}" for n in range(WARM_UP)]
    bench.submit(warm)
    bench.until(lambda: bench.ended(warm), "the first tasks to be executed")
    many = BURST_IN_PROCESS if bench.queue.in_process else BURST
    burst = [f"burst-{n}" for n in range(many)]
    counted = frozenset(burst)
    bench.watch(worker)
    cpu_s, broker_s = worker.cpu_s(), _broker_cpu_s(bench)
    bench.submit(burst)
    bench.outlast(lambda: bench.ended(burst), BURST_WITHIN_S)
    worker_us = (worker.cpu_s() - cpu_s) / many * 1e6
    broker_us = None
    if broker_s is not None and (now_s := _broker_cpu_s(bench)) is not None:
        broker_us = (now_s - broker_s) / many * 1e6
    executes_per_s = _rate(
        [one.at_ns for one in bench.effects() if one.kind == "end" and one.body in counted]
    )
    confirms_ns = [
        one.confirmed_ns
        for one in bench.submissions()
        if one.confirmed_ns is not None and one.body in counted
    ]
    rate_per_s = min(MOST_PACED_PER_S, SHARE_OF_CAPACITY * (executes_per_s or MOST_PACED_PER_S))
    paced = [f"paced-{n}" for n in range(max(1, int(rate_per_s * bench.spec.duration_s)))]
    bench.submit(paced, rate_per_s)
    bench.outlast(lambda: bench.ended(paced), bench.spec.duration_s + BURST_WITHIN_S)
    figures = TaskFigures(
        versions=versions,
        ledger=settle(bench.submissions(), bench.effects()),
        restarts=bench.restarts,
        submits_per_s=_rate(confirms_ns),
        executes_per_s=executes_per_s,
        worker_cpu_us_per_task=worker_us,
        broker_cpu_us_per_task=broker_us,
    )
    return figures, _latency(bench, set(paced))


def _rate(times_ns: list[int]) -> float | None:
    """Return events per second between the first and the last of these; None for fewer than two."""
    if len(times_ns) < 2:
        return None
    return (len(times_ns) - 1) / ((max(times_ns) - min(times_ns)) / 1e9)


def _latency(bench: Bench, paced: set[str]) -> Latency:
    ends = {one.body: one.at_ns for one in reversed(bench.effects()) if one.kind == "end"}
    done = [one for one in bench.submissions() if one.body in paced and one.body in ends]
    due_ns = np.array([one.intended_ns for one in done], dtype=np.int64)
    began_ns = np.array([one.began_ns for one in done], dtype=np.int64)
    end_ns = np.array([ends[one.body] for one in done], dtype=np.int64)
    return Latency(
        end_to_end=summarize(end_ns - due_ns, due_ns),
        service=summarize(end_ns - began_ns, began_ns),
        late_sends=int((began_ns - due_ns > 1_000_000).sum()),
    )


def _broker_cpu_s(bench: Bench) -> float | None:
    usage = bench.broker.usage() if bench.broker is not None else None
    return usage.cpu_s if usage is not None else None
