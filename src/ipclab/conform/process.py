"""One case in a process of its own, which the lab forks and watches.

A backend that hangs, crashes or ends its process in ``setup()`` or ``teardown()`` therefore breaks only the
promise that is checked. Only the lab's process acts on a server: the process of a case asks it to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import channel_class, counter_class
from ipclab.brokers import Broker
from ipclab.conform import observers
from ipclab.conform.bench import Bench
from ipclab.conform.leftovers import no_process_left
from ipclab.conform.modes import Mode
from ipclab.conform.outcome import Outcome, Word
from ipclab.conform.promise import BrokenPromise, Undecided
from ipclab.conform.suite import Case
from ipclab.host import hang, supervisor
from ipclab.host.child import Manner
from ipclab.host.interruptions import ending_blocked
from ipclab.host.link import Link
from ipclab.host.supervisor import Child
from ipclab.host.surroundings import end_descendants, running_descendants
from ipclab.host.text import clean, line_of
from ipclab.trial import borrowed
from ipclab.trial.inside import asker, settle
from ipclab.trial.lender import answer
from ipclab.trial.ordered_end import end_in_good_order
from ipclab.trial.phases import Asked
from ipclab.trial.primitive import adapters, name_primitive

WITHIN_S = 60.0
"""How long a case may stand still before it hangs. The calls of its workers have shorter limits."""


class Judged(msgspec.Struct, frozen=True):
    """What the process of a case says last."""

    verdict: Word
    reason: str


def run(case: Case, brokers: Mapping[BrokerKind, Broker], folder: Path) -> Outcome:
    """Check one case in a process of its own and return its outcome. No other thread may run.

    ``folder`` gets the stacks of a process that hangs.
    """
    began = time.monotonic()
    judged = _judge(case, brokers, folder)
    return _outcome(case, judged, time.monotonic() - began)


def undecided(case: Case, reason: str) -> Outcome:
    """Return the outcome of a case that cannot be checked here."""
    return _outcome(case, Judged("undecided", reason), 0.0)


def _outcome(case: Case, judged: Judged, seconds: float) -> Outcome:
    subject = case.subject
    mode = subject if isinstance(subject, Mode) else None
    return Outcome(
        promise=case.promise.name,
        sentence=case.promise.sentence,
        backend=str(mode.variant if mode else subject),
        window=mode.window if mode else 1,
        verdict=judged.verdict,
        reason=clean(judged.reason),
        seconds=round(seconds, 3),
    )


def _judge(case: Case, brokers: Mapping[BrokerKind, Broker], folder: Path) -> Judged:
    manner = Manner(name="check", folder=folder, forks=True, leaves_at_once=True)
    checked = _Checked(case, brokers)
    try:
        supervisor.start("fork", manner, _inside, (case, brokers), entered=checked.enter)
        return checked.follow()
    finally:
        with ending_blocked():
            checked.end()


class _Checked:
    """The process of a case, as the lab sees it."""

    _child: Child

    def __init__(self, case: Case, brokers: Mapping[BrokerKind, Broker]) -> None:
        self._case = case
        self._brokers = brokers
        self._started = False
        self._said: list[Judged] = []
        self._messages = 0

    def enter(self, child: Child) -> None:
        """Take charge of the process."""
        self._child, self._started = child, True

    def follow(self) -> Judged:
        """Serve and watch the process until it has ended, and return what it said."""
        waited = hang.outlast(
            self._wait,
            lambda: self._child.ended,
            within_s=WITHIN_S,
            progress=lambda: self._messages,
            pids=self._pids,
        )
        if self._said:
            return self._said[-1]
        if waited == "came":
            return Judged("broken", f"the process of the check {self._child.how_it_ended()}")
        stack = self._child.look()
        place = name_primitive(stack, adapters(_class_of(self._case))) if stack else "unknown"
        return Judged("broken", f"it did not end within {WITHIN_S:g} s: it is {waited} in {place}")

    def end(self) -> None:
        """End the process: let it delete what it made if it still runs, then end all that is left of it."""
        if not self._started:
            return
        end_in_good_order(self._child, self._wait, lambda: self._messages, self._pids)
        if self._child.alive:
            end_descendants(self._child.pid)
        self._child.end()

    def _pids(self) -> list[int]:
        return [self._child.pid, *(process.pid for process in running_descendants(self._child.pid))]

    def _wait(self, until: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not until() and (left_s := deadline - time.monotonic()) > 0:
            supervisor.listen([self._child], left_s)
            inbox = self._child.inbox
            while inbox:
                self._messages += 1
                # A question in whose middle the lab is told to end stays first: the process waits for it.
                self._take(inbox[0])
                inbox.popleft()
        return until()

    def _take(self, message: object) -> None:
        match message:
            case Judged():
                self._said.append(message)
            case Asked():
                (broker,) = self._brokers.values()
                self._child.tell(answer(broker, message))
            case _:
                raise TypeError(f"the process of a check says nothing like {message!r}")


def _class_of(case: Case) -> type:
    subject = case.subject
    return channel_class(subject.variant) if isinstance(subject, Mode) else counter_class(subject)


def _inside(link: Link, case: Case, brokers: Mapping[BrokerKind, Broker]) -> None:
    """Check a case: the main function of its process."""
    settle()
    ask = asker(link)
    lent = {kind: borrowed.BorrowedBroker(broker, ask) for kind, broker in brokers.items()}
    with observers.watching():
        judged = _checked(case, lent)
    end_descendants(os.getpid())
    link.send(judged)


def _checked(case: Case, brokers: Mapping[BrokerKind, Broker]) -> Judged:
    try:
        with _bench(brokers) as bench:
            case.check(bench)
    except Undecided as undecided:
        return Judged("undecided", str(undecided))
    except BrokenPromise as broken:
        return Judged("broken", str(broken))
    except BaseException as error:  # noqa: BLE001 - a backend may raise anything
        return Judged("broken", line_of(error))
    return Judged("kept", "")


@contextmanager
def _bench(brokers: Mapping[BrokerKind, Broker]) -> Iterator[Bench]:
    with no_process_left(), ExitStack() as stack:
        yield Bench(stack, brokers.__getitem__)
