"""The lab's side of one trial: starts its process, watches the calls of the backend, and ends everything.

While a call such as ``setup()`` lasts, the lab watches it as it watches a worker (see ``host.hang``). A call
that hangs is the result of the trial: the lab takes its stack and ends every process of the trial. When the
lab itself is told to end, it lets the trial wind up first, for a few seconds at most.
"""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable

import msgspec

from ipclab.backends.registry import backend_class
from ipclab.host import hang, stillness, supervisor
from ipclab.host.child import Manner
from ipclab.host.hang import Waited
from ipclab.host.interruptions import ending_blocked
from ipclab.host.stacks import NO_STACK
from ipclab.host.supervisor import Child
from ipclab.host.surroundings import end_descendants, running_descendants
from ipclab.host.text import line_of
from ipclab.trial import inside, workloads
from ipclab.trial.inside import Job, Play
from ipclab.trial.lender import answer
from ipclab.trial.ordered_end import end_in_good_order
from ipclab.trial.phases import Asked, Effects, Entered, Found, Left, Refused
from ipclab.trial.primitive import adapters, name_primitive
from ipclab.trial.record import TrialRecord

CALL_AT_LEAST_S = 5.0
"""The least time that a call of the backend may take, however short the patience for one operation is."""
SLOW_CALLS_OF = 3
"""How many times its patience a call that still works gets after its patience is over."""
_IDLE_S = 3600.0


def run(job: Job, play: Play, bare: TrialRecord) -> TrialRecord:
    """Run a trial in a process of its own and return its record.

    ``bare`` is the record of a trial without any results. Raise what ``play(job)`` raises. If the lab itself
    is interrupted meanwhile, the trial winds up first.
    """
    manner = Manner(name="trial", folder=job.folder, forks=True, leaves_at_once=True)
    trial = _Trial(job)
    try:
        supervisor.start("fork", manner, inside.run, (job, play), entered=trial.enter)
        return trial.follow(bare)
    finally:
        with ending_blocked():
            trial.end()


class _Trial:
    """A running trial, as the lab sees it."""

    _child: Child

    def __init__(self, job: Job) -> None:
        self._job = job
        self._started = False
        self._call = ""
        self._messages = 0
        self._found: TrialRecord | None = None
        self._refused: Refused | None = None
        self._effects: list[str] = []

    def enter(self, child: Child) -> None:
        """Take charge of the trial's process."""
        self._child, self._started = child, True

    def follow(self, bare: TrialRecord) -> TrialRecord:
        """Serve and watch the trial until its process has ended, and return its record."""
        while not self._child.ended:
            call = self._call
            if not call:
                self._listen(_IDLE_S)
            elif (waited := self._await(call)) != "came":
                return self._add_effects(self._late(call, bare, slow=waited == "slow"))
        if self._refused is not None and (reason := self._files_exhausted(self._refused.error)):
            return self._add_effects(msgspec.structs.replace(bare, outcome="failed", reason=reason))
        if self._refused is not None:
            self._refused.error.add_note(self._refused.detail)
            raise self._refused.error
        record = self._found
        if self._child.fault:
            # The backend has ended the process of the trial, within the current call if there was one.
            where = f"{self._call} of {self._job.spec.backend}" if self._call else str(self._job.spec.backend)
            reason = f"{where}: {self._describe(self._child.fault)}"
            record = msgspec.structs.replace(record or bare, outcome="failed", reason=reason)
        assert record is not None
        return self._add_effects(record)

    def end(self) -> None:
        """End the trial: let it wind up if it still runs, then end every process that is left of it."""
        if not self._started:
            return
        child = self._child
        end_in_good_order(child, self._wait, lambda: self._messages, self._pids)
        self._end_processes()
        child.end()

    def _await(self, call: str) -> Waited:
        """Wait until the call is over, hangs, or has run for far too long; return which it was."""
        patience_s = max(self._job.spec.grace_s, CALL_AT_LEAST_S)
        return hang.outlast(
            self._wait,
            lambda: self._child.ended or self._call != call,
            within_s=patience_s,
            pids=self._pids,
            slow_at_most_s=SLOW_CALLS_OF * patience_s,
        )

    def _late(self, call: str, bare: TrialRecord, *, slow: bool) -> TrialRecord:
        spec = self._job.spec
        stack = self._child.look()
        own = adapters(backend_class(workloads.face(spec), spec.backend))
        place = name_primitive(stack, own) if stack else NO_STACK
        patience_s = max(spec.grace_s, CALL_AT_LEAST_S) * (1 + SLOW_CALLS_OF if slow else 1)
        what = "it still ran, so it is slow and did not hang" if slow else f"it hung in {place}"
        self._effects += [f"was ended with its trial: {line}" for line in self._end_processes()]
        return msgspec.structs.replace(
            self._found or bare,
            outcome="failed" if slow else "hung",
            reason=f"{call} of {spec.backend} did not return within {patience_s:g} s: {what}",
            stuck={**(self._found or bare).stuck, call: stack or NO_STACK},
        )

    def _end_processes(self) -> list[str]:
        """Kill the trial's process and all its descendants; return a description of each descendant."""
        child = self._child
        if not child.alive:
            return []
        # A stopped process starts no more children, and is still the parent of every orphan below it.
        child.signal(signal.SIGSTOP)
        stillness.all_stopped([child.pid])
        ended = end_descendants(child.pid)
        child.kill()
        return ended

    def _add_effects(self, record: TrialRecord) -> TrialRecord:
        return msgspec.structs.replace(record, side_effects=[*record.side_effects, *self._effects])

    def _files_exhausted(self, error: Exception) -> str:
        """Return a message if the error is that the trial may open no more files; empty otherwise."""
        if not isinstance(error, OSError) or error.errno != errno.EMFILE:
            return ""
        return (
            f"{line_of(error)}: the process of the trial may open no more files; where other backends can, "
            f"{self._job.spec.backend} leaves files open or lowers RLIMIT_NOFILE in setup()"
        )

    def _describe(self, fault: str) -> str:
        return fault if self._child.failed else f"its process {fault}"

    def _pids(self) -> list[int]:
        """Return the pids of all processes that may work for the trial, as far as they can be read."""
        found = [self._child.pid, *(process.pid for process in running_descendants(self._child.pid))]
        broker = self._job.broker
        kind, _, number = broker.where.partition(" ") if broker else ("", "", "")
        return [*found, int(number)] if kind == "pid" else found

    def _wait(self, until: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not until() and (left_s := deadline - time.monotonic()) > 0:
            self._listen(left_s)
        return until()

    def _listen(self, within_s: float) -> None:
        supervisor.listen([self._child], within_s)
        inbox = self._child.inbox
        while inbox:
            self._messages += 1
            # A message in whose middle the lab is told to end stays first: a process may wait for its answer.
            self._take(inbox[0])
            inbox.popleft()

    def _take(self, message: object) -> None:
        match message:
            case Entered(call):
                self._call = call
            case Left():
                self._call = ""
            case Asked():
                assert self._job.broker is not None
                self._child.tell(answer(self._job.broker, message))
            case Found(record):
                self._found = record
            case Refused():
                self._refused = message
            case Effects(lines):
                self._effects = lines
            case _:
                raise TypeError(f"the process of a trial says nothing like {message!r}")
