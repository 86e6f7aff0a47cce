"""The process of one trial: sets up, runs the workers, judges, tears down, and reports to the lab.

A backend's ``setup()`` and ``teardown()`` run here and not in the lab. So what they make (primitives,
managers) is in the process that starts the workers, and what they do to their process ends with the trial:
affinity, priority, handlers, working folder, threads, children.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing.util
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from ipclab.backends.base import Site
from ipclab.brokers.base import Broker
from ipclab.errors import IpclabError
from ipclab.host.child import forget_forkserver
from ipclab.host.interruptions import EndedBySignal
from ipclab.host.link import Link
from ipclab.host.surroundings import Surroundings, adopt_orphans, end_descendants
from ipclab.trial import phases
from ipclab.trial.borrowed import Ask, BorrowedBroker
from ipclab.trial.machines.crew import Machines
from ipclab.trial.phases import Answered, Asked, Effects, Found, Refused
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial: what to run, where its files go, and what of the lab it may use."""

    spec: TrialSpec
    site: Site
    folder: Path
    broker: Broker | None
    history: Path | None
    machines: Machines | None = None


Play = Callable[[Job], TrialRecord]
_AGAIN_AFTER_S = 0.005
"""When a process is told to end again whose finalizer swallowed the order; long enough to leave that."""


def run(link: Link, job: Job, play: Play) -> None:
    """Run a trial by ``play(job)``: the main function of a trial's process."""
    settle()
    try:
        _run(link, job, play)
    except EndedBySignal:
        end_descendants(os.getpid())


def _run(link: Link, job: Job, play: Play) -> None:
    phases.tell_to(link.send)
    before = Surroundings.now()
    borrowed = None if job.broker is None else BorrowedBroker(job.broker, asker(link))
    try:
        record = play(replace(job, broker=borrowed))
        link.send(Found(record))
    except Exception as error:  # noqa: BLE001 - the lab raises it
        link.send(Refused(portable(error), traceback.format_exc()))
    gc.collect()
    lines = [*Surroundings.now().changes(before), *phases.effects()]
    lines += [f"left a process running, which was ended: {line}" for line in end_descendants(os.getpid())]
    link.send(Effects(lines))
    # As at the end of a program: end semaphores and managers that nobody has closed. Wait for no thread.
    multiprocessing.util._run_finalizers(0)  # type: ignore[attr-defined]


def portable(error: Exception) -> Exception:
    """Return the error if it can be pickled, else one of its nearest lab class with the same message."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever a class does when it is pickled
        copy = None
    if type(copy) is type(error) and str(copy) == str(error):
        return error
    for kind in type(error).__mro__[1:]:
        # UnknownNameError, for example, is made from other arguments than its message.
        if issubclass(kind, IpclabError):
            return kind(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")


def settle() -> None:
    """Give the calling process the signal handlers, orphans and output of the process of a trial."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGTERM:
            signal.signal(number, partial(_end, os.getpid()))
    sys.unraisablehook = partial(_tell_again, sys.unraisablehook)
    adopt_orphans()
    forget_forkserver()
    # What a backend prints is not part of the lab's output.
    os.dup2(2, 1)
    contextlib.redirect_stdout(os.fdopen(2, "w", buffering=1, closefd=False)).__enter__()


def _end(owner: int, number: int, _frame: FrameType | None) -> None:
    """Raise EndedBySignal in the process ``owner``; end any other one that inherited this at its fork.

    A backend's own child, such as a Manager's server, would print the exception as an error.
    """
    if os.getpid() != owner:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    for later in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(later, signal.SIG_IGN)
    raise EndedBySignal(number)


def _tell_again(otherwise: Callable[[Any], object], unraisable: sys.UnraisableHookArgs) -> None:
    """Tell the process to end once more where a finalizer, which swallows every exception, was told.

    Nothing may be raised in here, so a timer does it a moment later. Then every ``finally`` runs.
    """
    if unraisable.exc_type is not None and issubclass(unraisable.exc_type, EndedBySignal):
        signal.signal(signal.SIGALRM, partial(_end, os.getpid()))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER_S)
        return
    otherwise(unraisable)


def asker(link: Link) -> Ask:
    """Return what asks the lab to act on its broker, over the link of this process."""
    numbers = itertools.count()

    def ask(method: str, args: tuple[Any, ...], settings: Mapping[str, Any]) -> Answered:
        number = next(numbers)
        link.send(Asked(number, method, args, settings))
        while True:
            answer = link.recv()
            # Skip the answer to a question that an interruption cut off.
            if isinstance(answer, Answered) and answer.number == number:
                return answer

    return ask
