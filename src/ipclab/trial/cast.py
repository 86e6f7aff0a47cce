"""The logged workers of one trial: start, replace and instruct them, and follow their logs."""

from __future__ import annotations

import itertools
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ipclab.backends.base import Channel
from ipclab.errors import ChannelError, UsageError
from ipclab.history.format import Line
from ipclab.host import hang, stillness
from ipclab.host.interruptions import ending_blocked
from ipclab.host.stillness import Look
from ipclab.host.told import reraise_own_end
from ipclab.trial.assignment import Assignment, history_path
from ipclab.trial.drain import PATIENCE
from ipclab.trial.logged import ROLES, OfCast
from ipclab.trial.orders import Burst, Quit, Stop
from ipclab.trial.phases import watched
from ipclab.trial.processes import Crew, Worker
from ipclab.trial.spec import TrialSpec

POLL_S = 0.005
STOP_ROUND_S = 0.3
FIRST_WITHIN_S = 20.0
"""For the first connections, before any fault, and for a new process to begin."""


class _Tail:
    """Reads the lines that one worker has logged since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._decode = msgspec.json.Decoder(Line).decode

    def lines(self) -> list[Line]:
        """Return the new complete lines."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        return [self._decode(line) for line in whole.splitlines()]


class Cast:
    """Producers and consumers of a channel. A context manager: at its end none of them is alive.

    ``outlast()`` allows slow workers more time: on a busy machine everything takes longer, and only a worker
    that stands still hangs. ``servers`` returns the pids of the processes that the workers may have to wait
    for.

    ``sent_ns`` has the time at which the send of each confirmed message began. ``received_ns`` has the time
    at which each message first arrived, for each consumer that should receive it: one entry ``""`` for all,
    or with fan-out one by name. ``unsettled_ns`` has, for each consumer, the receipt times of the messages
    that it has not begun to acknowledge. ``finished`` counts for each message how often a consumer was done
    with it, and so began to acknowledge it. ``slow`` names the workers that the last ``outlast()`` gave up
    although they ran: they do not hang.
    """

    def __init__(
        self,
        spec: TrialSpec,
        channel: Channel,
        logs: Path,
        servers: Callable[[], Iterable[int]] = lambda: (),
    ) -> None:
        self.spec = spec
        self.channel = channel
        self.logs = logs
        self._servers = servers
        self.fan_out = channel.guarantees.fan_out
        self.crew = Crew(spec.start_method)
        self.began_ns: dict[int, int] = {}
        self.sent_ns: dict[int, int] = {}
        self.received_ns: dict[str, dict[int, int]] = {} if self.fan_out else {"": {}}
        self.unsettled_ns: dict[str, dict[int, int]] = {}
        self.finished: Counter[int] = Counter()
        self._owes = channel.guarantees.delivery == "at-least-once"
        self._redelivered: set[int] = set()
        self._given_up: set[int] = set()
        self._acknowledging: dict[str, dict[int, int]] = {}
        self._tails: dict[str, _Tail] = {}
        self._expected: dict[str, int] = {}
        self._asking: set[str] = set()
        self._entered = 0
        self.slow: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.crew.end()

    def start(
        self, role: str, index: int, *, place: int | None = None, channel: Channel | None = None
    ) -> Worker:
        """Start a worker and return it. ``channel`` is for a worker that reaches the channel another way."""
        member = self.crew.start(
            Assignment(
                role=role,  # type: ignore[arg-type]
                play=ROLES[role],
                index=index,
                spec=self.spec,
                logs=self.logs,
                part=OfCast(
                    channel=channel or self.channel,
                    place=index if place is None else place,
                    patience_s=self.spec.grace_s,
                ),
            )
        )
        self._tails[member.name] = _Tail(history_path(self.logs, member.name))
        self._expected[member.name] = 0
        if self.fan_out and role == "consumer":
            self.received_ns[member.name] = {}
        return member

    def ready(self, members: Iterable[Worker], within_s: float = FIRST_WITHIN_S) -> bool:
        """Wait until these are connected; return False where one is not in time, or has given up."""
        wanted = list(members)
        return self.outlast(lambda: all(m.ready or m.settled for m in wanted), within_s) and all(
            m.ready and not m.ended for m in wanted
        )

    def burst(self, members: Iterable[Worker], count: int, size_bytes: int, gap_s: float = 0.0) -> None:
        """Order each of these producers to send ``count`` messages; ``idle`` says when they have."""
        for member in members:
            if member.tell(Burst(count=count, size_bytes=size_bytes, gap_s=gap_s)):
                self._expected[member.name] += 1

    def size(self, wanted_bytes: int) -> int:
        """Return the size of a message: ``wanted_bytes``, but no more than the channel carries."""
        return min(wanted_bytes, self.channel.guarantees.max_message_bytes or wanted_bytes)

    def idle(self, member: Worker) -> bool:
        """Return whether the worker has carried out all its orders, or has ended."""
        return member.gone or len(member.reports) >= self._expected[member.name]

    def done(self, members: Iterable[Worker]) -> bool:
        """Return whether all of these are idle."""
        return all(self.idle(member) for member in members)

    def waits(self, consumer: Worker) -> bool:
        """Return whether the consumer waits in ``receive()``: it has logged the call, and sleeps."""
        return consumer.name in self._asking and stillness.asleep(consumer.pid)

    def wait(self, until: Callable[[], bool], within_s: float) -> bool:
        """Read messages and logs until the condition holds; return False where it does not in time."""
        deadline = time.monotonic() + within_s
        while True:
            self.look()
            if until():
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self.crew.listen(min(left_s, POLL_S)) if self._any_alive() else time.sleep(min(left_s, POLL_S))

    def outlast(self, until: Callable[[], bool], within_s: float) -> bool:
        """Wait like ``wait()``, but return False only where all hang (``host.hang``) or are slow too long.

        Each line in a log is progress. All of it takes ``within_s`` and ``hang.SLOW_AT_MOST_S`` at most.
        ``slow`` names the workers that still run then, or have to wait for a server that does.
        """
        waited = hang.outlast(
            self.wait,
            until,
            within_s=within_s,
            progress=lambda: self._entered,
            pids=self._pids,
            at_most_s=within_s + hang.SLOW_AT_MOST_S,
        )
        self.slow = self._at_work() if waited == "slow" else frozenset()
        return waited == "came"

    def _pids(self) -> list[int]:
        return [*(m.pid for m in self.crew.workers if not m.ended), *self._servers()]

    def _at_work(self) -> frozenset[str]:
        """Return the workers that run, or have to wait for a server that does. Takes ``hang.LOOK_S``."""
        before = Look.at(self._pids())
        self.pass_time(hang.LOOK_S)
        at_work = Look.at(self._pids()).at_work_since(before)
        serving = bool(at_work & frozenset(self._servers()))
        return frozenset(m.name for m in self.crew.workers if serving or m.pid in at_work)

    def pass_time(self, seconds: float) -> None:
        """Read messages and logs for this long."""
        self.wait(lambda: False, seconds)

    def look(self) -> None:
        """Take in what the workers have logged since the last look."""
        for name, tail in self._tails.items():
            for line in tail.lines():
                self._entered += 1
                self._enter(name, line)

    def holds(self, consumer: Worker, since_ns: int) -> bool:
        """Return whether the consumer holds a message received since then, not yet being acknowledged."""
        return self.held(consumer, since_ns) > 0

    def held(self, consumer: Worker, since_ns: int) -> int:
        """Return how many messages received since then the consumer has not begun to acknowledge."""
        return sum(ns > since_ns for ns in self.unsettled_ns.get(consumer.name, {}).values())

    def settled(self) -> bool:
        """Return whether all living consumers have acknowledged what they received and must acknowledge."""
        living = [m.name for m in self.crew.by_role("consumer") if not m.gone]
        return not self._owes or not any(self.unsettled_ns.get(name) for name in living)

    def missing(self) -> int:
        """Return the number of receipts that are due for confirmed messages and that nobody has logged.

        Where a channel declares at-least-once, a message is due once more if the only consumer that received
        it has ended without acknowledging it.
        """
        return self._never_received() + self._to_be_redelivered()

    def _to_be_redelivered(self) -> int:
        if not self._owes or self.fan_out:
            return 0
        gone = [m.name for m in self.crew.by_role("consumer") if not m.process.is_alive()]
        held = {value for name in gone for value in self.unsettled_ns.get(name, ())} | self._given_up
        return len(held & self.sent_ns.keys() - self._redelivered)

    def _never_received(self) -> int:
        alive = {m.name for m in self.crew.by_role("consumer") if m.process.is_alive()}
        groups = [got for name, got in self.received_ns.items() if not name or name in alive]
        return sum(len(self.sent_ns.keys() - got.keys()) for got in groups)

    def unfinished(self) -> int:
        """Return how many confirmed messages no consumer was done with, where consumers log that."""
        return sum(self.finished[value] < 1 for value in self.sent_ns)

    def receipts(self) -> int:
        """Return the number of messages received so far, counted once for every consumer that is due them."""
        return sum(len(got) for got in self.received_ns.values())

    def drain(self, quiet_s: float, within_s: float) -> None:
        """Wait until every confirmed message has arrived, or is given up, or no consumer is left.

        Messages are given up when none has arrived for ``quiet_s`` although nobody is busy, and for
        ``PATIENCE`` times as long as half of all messages took, at most ``within_s``. While messages arrive,
        the time does not count.
        """
        consumers = self.crew.by_role("consumer")

        def come_or_gone() -> bool:
            return not self.missing() or all(m.gone for m in consumers)

        while not come_or_gone():
            count = self.receipts()
            patience_s = max(quiet_s, min(PATIENCE * self._median_s(), within_s))
            if not self.outlast(lambda: come_or_gone() or self.receipts() != count, patience_s):  # noqa: B023
                return

    def _median_s(self) -> float:
        """Return the median time in flight of the messages that have arrived, in seconds; 0 for none."""
        took_ns = [
            received_ns - self.sent_ns[value]
            for got in self.received_ns.values()
            for value, received_ns in got.items()
            if value in self.sent_ns
        ]
        return statistics.median(took_ns) / 1e9 if took_ns else 0.0

    def dismiss(self, members: Sequence[Worker], within_s: float) -> list[Worker]:
        """Let these producers close and end; return those that do not in time."""
        for member in members:
            member.tell(Quit())
        self.outlast(lambda: all(m.gone for m in members), within_s)
        return [m for m in members if not m.gone]

    def stop(self, members: Sequence[Worker], within_s: float, *, place: int) -> list[Worker]:
        """Send stop messages until every one of these consumers has ended, each time from a new process.

        Return the consumers that do not end in time, and the sender where it did not come back either.
        """

        def going() -> list[Worker]:
            return [m for m in members if not m.gone]

        deadline = time.monotonic() + within_s
        rounds = itertools.count()
        while left := going():
            stopper = self.start("stopper", next(rounds), place=place)
            self.outlast(lambda: stopper.ready or stopper.gone, FIRST_WITHIN_S)  # noqa: B023 - used up at once
            stopper.tell(Stop(len(left)))
            if not self.outlast(lambda: stopper.gone, within_s):  # noqa: B023 - as above
                return [stopper, *going()]
            late = time.monotonic() > deadline
            ended = (self.outlast if late else self.wait)(lambda: not going(), STOP_ROUND_S)
            if late and not ended:
                break
        return going()

    def stop_by(self, producers: Sequence[Worker], within_s: float) -> list[Worker]:
        """Let these producers, which alone hold their end of the channel, stop all consumers and then end.

        Return the producers and consumers that do not end in time.
        """
        consumers = [m for m in self.crew.by_role("consumer") if not m.gone]
        for producer in producers:
            producer.tell(Stop(len(consumers)))
        stuck = self.dismiss(producers, within_s)
        self.outlast(lambda: all(m.gone for m in consumers), within_s)
        return stuck + [m for m in consumers if not m.gone]

    def stacks(self, stuck: Iterable[Worker]) -> dict[str, str]:
        """End these workers; return the stack of each, except of those that have returned by themselves."""
        self.look()
        self.crew.listen(0.0)
        left = [member for member in stuck if not member.gone]
        found = self.crew.stacks(left) if left else {}
        # A dump of all threads crashes where one of them runs meanwhile: what it had written until then
        # counts.
        ours = (None, -signal.SIGUSR1, -signal.SIGSEGV)
        return {m.name: found[m.name] for m in left if m.process.exitcode in ours}

    def _any_alive(self) -> bool:
        return any(not member.ended for member in self.crew.workers)

    def _enter_ack(self, name: str, line: Line) -> None:
        """Enter an acknowledgement. One that has begun counts, because nobody can know whether the server
        received it; one that failed means that it will never arrive."""
        if line.type == "invoke":
            self._acknowledging[name] = self.unsettled_ns.pop(name, {})
            self.finished.update(self._acknowledging[name].keys())
        elif line.type == "fail":
            self._given_up |= self._acknowledging[name].keys()
            self.finished.subtract(self._acknowledging[name].keys())

    def _enter(self, name: str, line: Line) -> None:
        if line.f == "receive":
            (self._asking.add if line.type == "invoke" else self._asking.discard)(name)
        if line.f == "ack":
            self._enter_ack(name, line)
        elif line.type == "invoke":
            if line.f == "send":
                self.began_ns[line.value] = line.time
        elif line.type == "ok" and isinstance(line.value, int):
            if line.f == "send":
                self.sent_ns[line.value] = self.began_ns[line.value]
            else:
                got = self.received_ns[name if self.fan_out else ""]
                if line.value in got:
                    self._redelivered.add(line.value)
                got.setdefault(line.value, line.time)
                self.unsettled_ns.setdefault(name, {})[line.value] = line.time


def set_up(channel: Channel) -> None:
    """Make what the channel needs.

    Raise ChannelError where its server is too old for it, which ends this trial and not the run; otherwise
    whatever the client library raises.
    else what the client library raises.
    """
    try:
        with watched("setup()"):
            channel.setup()
    except UsageError as error:
        raise ChannelError(str(error)) from error


def tear_down(channel: Channel) -> None:
    """Delete what the channel has made; ignore errors, because its server may be gone for good."""
    with ending_blocked():
        try:
            with watched("teardown()"):
                channel.teardown()
        except BaseException as error:  # noqa: BLE001 - a backend may raise anything, SystemExit too
            reraise_own_end(error)
