"""A trial of a task queue with a fault: hold the tasks, strike, supervise, wait, nudge, settle the ledger."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from typing import assert_never

from ipclab.checks.tasks import Effect, settle
from ipclab.errors import ChannelError
from ipclab.host.clock import now_ns
from ipclab.host.resources import cpu_s, queued_s
from ipclab.trial.task_facts import TaskFault, TaskFigures
from ipclab.trial.tasks import files
from ipclab.trial.tasks.bench import Bench
from ipclab.trial.tasks.session import Session

TASKS = 8
RESERVING_S = 0.5
"""How long a worker gets to reserve what it takes in advance; no framework tells when it has."""
MOST_WAITED_S = 12.0
"""A framework that promises to redeliver later than this is not waited for: its tasks count as stuck."""
QUIET_S = 2.0
"""Without any entry in the log for this long, and past the redelivery, nothing more is expected."""
RECONNECTS_S = 10.0
"""How long a worker may take until it tries again to connect to a broker that was away."""
STEP_S = 0.3
BUSY_SHARE = 0.3
"""Above this share of the time, in which they work or wait for a processor, the processes are not quiet."""
MOST_BUSY_S = 30.0
"""Workers that are always busy are not waited for longer than this."""
PAUSED_AT_LEAST_S = 2.0
NUDGED_S = 10.0
"""How long the one more task of a fresh worker may take."""
_ENDS_WITHIN_S = 5.0
_HOLD = "hold"
_NUDGE = "nudge"


def suffer(bench: Bench, fault: TaskFault, versions: dict[str, str]) -> TaskFigures:
    """Carry out the trial and return its figures. Raise ChannelError where it does not come to the fault."""
    return _Trial(bench, fault).play(versions)


class _Trial:
    def __init__(self, bench: Bench, fault: TaskFault) -> None:
        self._bench = bench
        self._fault = fault
        self._bodies = [f"task-{n}" for n in range(TASKS)]
        self._orphans = 0

    def play(self, versions: dict[str, str]) -> TaskFigures:
        bench = self._bench
        bench.start_submitter()
        worker = bench.start_worker()
        bench.submit(["warm-0", "warm-1"])
        bench.until(lambda: bench.ended(["warm-0", "warm-1"]), "the first tasks to be executed")
        self._bring_about(worker)
        struck_ns = self._strike(worker)
        if self._fault.moment == "idle":
            bench.submit(self._bodies)
        self._wait_until_quiet()
        nudged_ns = now_ns()
        if not bench.ended(self._bodies):
            nudged_ns = self._nudge()
        bench.end_sessions()
        missing = self._missing()
        ledger = settle(
            [one for one in bench.submissions() if one.body in self._bodies],
            self._effects(),
            held=bench.queue.held(missing) if missing else None,
            struck_ns=struck_ns,
            nudged_ns=nudged_ns,
        )
        return TaskFigures(versions=versions, ledger=ledger, restarts=bench.restarts, orphans=self._orphans)

    def _effects(self) -> list[Effect]:
        return [one for one in self._bench.effects() if one.body in self._bodies]

    def _bring_about(self, worker: Session) -> None:
        """Bring the worker to the moment of the fault."""
        bench = self._bench
        if self._fault.moment == "idle":
            return
        bench.gate.shut()
        first = self._bodies[0] if self._fault.moment == "mid-task" else _HOLD
        under_way = self._bodies if self._fault.moment == "mid-task" else [_HOLD, *self._bodies]
        bench.submit(under_way)
        bench.until(lambda: any(one.body == first for one in bench.effects()), "a task to begin")
        bench.until(lambda: bench.answered(under_way), "the tasks to be submitted")
        bench.outlast(lambda: False, RESERVING_S)

    def _strike(self, worker: Session) -> int:
        """Strike, let the tasks continue, and return when the fault was in force."""
        fault, bench = self._fault, self._bench
        # Remember all processes, so that orphans are found.
        before = [process.pid for process in worker.processes]
        bench.watch(worker)
        if fault.target == "broker":
            assert bench.broker is not None
            bench.broker.kill()
            struck_ns = now_ns()
            bench.broker.restart()
            bench.gate.open()
            return struck_ns
        pids = self._pids(worker, before)
        match fault.action:
            case "pause":
                return self._pause(worker, pids)
            case "kill":
                number = signal.SIGKILL
            case "terminate":
                number = signal.SIGTERM
            case _:
                assert_never(fault.action)
        worker.signal(number, pids)
        struck_ns = now_ns()
        if number == signal.SIGTERM:
            # A worker that ends in good order waits for its task, which is held.
            bench.gate.open()
        gone = bench.outlast(lambda: not self._run(worker, pids), _ENDS_WITHIN_S)
        if not gone and number == signal.SIGKILL:
            raise ChannelError(f"a killed process of {worker.name} still runs")
        if fault.target == "worker":
            self._orphans = len(worker.processes)
        bench.gate.open()
        return struck_ns

    def _pids(self, worker: Session, everything: list[int]) -> list[int]:
        """Return the processes that the fault strikes."""
        match self._fault.target:
            case "tree":
                return everything
            case "worker":
                return [worker.pid]
            case _:
                return [self._executor(worker)]

    def _executor(self, worker: Session) -> int:
        """Return the process of the last task that began. Raise ChannelError where it is gone."""
        pid = next(one.pid for one in reversed(self._bench.effects()) if one.kind == "begin")
        if pid not in {process.pid for process in worker.processes}:
            raise ChannelError("no executor exists while the worker is idle: it is started for each task")
        return pid

    def _run(self, worker: Session, pids: list[int]) -> bool:
        return bool({process.pid for process in worker.processes} & set(pids))

    def _pause(self, worker: Session, pids: list[int]) -> int:
        """Stop these processes, let a second worker work past the redelivery, and resume them."""
        bench = self._bench
        worker.signal(signal.SIGSTOP, pids)
        struck_ns = now_ns()
        try:
            bench.start_worker()
            bench.gate.open()
            wait_s = min(bench.queue.redelivers_after_s, MOST_WAITED_S) + PAUSED_AT_LEAST_S
            bench.outlast(lambda: bench.ended(self._bodies), wait_s)
        finally:
            worker.signal(signal.SIGCONT, pids)
        return struck_ns

    def _wait_until_quiet(self) -> None:
        """Return once all tasks have ended, or nothing has happened for long enough; supervise meanwhile.

        A machine that is busy makes a worker late. So time counts as quiet only while no process of a worker
        works or waits for a processor.
        """
        bench = self._bench
        supervised = [session for session in bench.sessions if session is not bench.submitter]
        if bench.queue.in_process:
            supervised = [bench.submitter]
        end = time.monotonic() + MOST_WAITED_S + MOST_BUSY_S
        seen, quiet_s = -1, 0.0
        while (quiet_s < QUIET_S / 2 or quiet_s < self._patience_s()) and time.monotonic() < end:
            for ended in [session for session in supervised if not session.alive]:
                supervised.remove(ended)
                supervised.append(bench.restart(ended))
                quiet_s = 0.0
            many = len(bench.effects())
            if many != seen:
                seen, quiet_s = many, 0.0
            before, began = _busy_s(supervised), time.monotonic()
            bench.outlast(lambda many=many: len(bench.effects()) != many, STEP_S)  # type: ignore[misc]
            took_s = time.monotonic() - began
            if _busy_s(supervised) - before < BUSY_SHARE * took_s:
                quiet_s += took_s

    def _patience_s(self) -> float:
        """Return for how long nothing may happen until nothing more is expected."""
        bench = self._bench
        if bench.ended(self._bodies):
            # A second execution of a task would follow soon.
            return QUIET_S / 2
        if bench.queue.readable and not bench.queue.held(self._missing()):
            # What the broker does not hold is in a living worker, or nowhere.
            return QUIET_S
        patience_s = QUIET_S
        if bench.queue.redelivers_after_s <= MOST_WAITED_S:
            patience_s += bench.queue.redelivers_after_s
        match self._fault.target:
            case "executor":
                patience_s += bench.queue.notices_after_s
            case "broker":
                patience_s += RECONNECTS_S
            case "worker" | "tree":
                pass
            case _:
                assert_never(self._fault.target)
        return patience_s

    def _missing(self) -> set[str]:
        """Return the tasks that have not ended."""
        return set(self._bodies) - {one.body for one in self._effects() if one.kind == "end"}

    def _nudge(self) -> int:
        """Start a fresh worker, submit one more task, wait for its end, and return when that began."""
        bench = self._bench
        if bench.queue.in_process and not bench.submitter.alive:
            bench.start_submitter()
        began_ns = now_ns()
        bench.start_worker()
        bench.submit([_NUDGE])
        refused = files.refused
        bench.outlast(lambda: bench.ended([_NUDGE]) or _NUDGE in refused(bench.folder), NUDGED_S)
        bench.outlast(lambda: bench.ended(self._bodies), QUIET_S)
        return began_ns


def _busy_s(sessions: Iterable[Session]) -> float:
    """Return how long the processes of these sessions have worked or waited for a processor so far."""
    pids = [process.pid for session in sessions for process in session.processes]
    return sum((cpu_s(pid) or 0.0) + (queued_s(pid) or 0.0) for pid in pids)
