"""A trial of a task queue with a fault: hold the tasks, strike, supervise, wait, nudge, settle the ledger."""

from __future__ import annotations

import signal
import time

from ipclab.checks.tasks import Effect, settle
from ipclab.errors import ChannelError
from ipclab.host.clock import now_ns
from ipclab.trial.task_facts import TaskFault, TaskFigures
from ipclab.trial.tasks.bench import Bench
from ipclab.trial.tasks.session import Session

TASKS = 8
RESERVING_S = 0.5
"""How long a worker gets to reserve what it takes in advance; no framework tells when it has."""
MOST_WAITED_S = 12.0
"""A framework that promises to redeliver later than this is not waited for: its tasks count as stuck."""
QUIET_S = 2.0
"""Without any entry in the log for this long, and past the redelivery, nothing more is expected."""
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
        missing = set(self._bodies) - {one.body for one in self._effects() if one.kind == "end"}
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
        if fault.target == "broker":
            assert bench.broker is not None
            bench.broker.kill()
            struck_ns = now_ns()
            bench.broker.restart()
            bench.gate.open()
            return struck_ns
        pids = self._pids(worker, before)
        if fault.action == "pause":
            return self._pause(worker, pids)
        number = signal.SIGKILL if fault.action == "kill" else signal.SIGTERM
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
        """Return once all tasks have ended, or nothing has happened for long enough; supervise meanwhile."""
        bench = self._bench
        patience_s = QUIET_S
        if bench.queue.redelivers_after_s <= MOST_WAITED_S:
            patience_s += bench.queue.redelivers_after_s
        supervised = [session for session in bench.sessions if session is not bench.submitter]
        if bench.queue.in_process:
            supervised = [bench.submitter]
        seen, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < patience_s:
            for ended in [session for session in supervised if not session.alive]:
                supervised.remove(ended)
                supervised.append(bench.restart(ended))
                quiet_since = time.monotonic()
            many = len(bench.effects())
            if many != seen:
                seen, quiet_since = many, time.monotonic()
            if bench.ended(self._bodies):
                # A second execution of a task would follow soon.
                patience_s = QUIET_S / 2
            bench.outlast(lambda many=many: len(bench.effects()) != many, 0.2)  # type: ignore[misc]

    def _nudge(self) -> int:
        """Start a fresh worker, submit one more task, wait for its end, and return when that began."""
        bench = self._bench
        if bench.queue.in_process and not bench.submitter.alive:
            bench.start_submitter()
        began_ns = now_ns()
        bench.start_worker()
        bench.submit([_NUDGE])
        bench.outlast(lambda: bench.ended([_NUDGE]), NUDGED_S)
        bench.outlast(lambda: bench.ended(self._bodies), QUIET_S)
        return began_ns
