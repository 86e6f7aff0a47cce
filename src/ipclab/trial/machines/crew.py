"""The workers of a trial on several machines: a crew whose members run under the agent of their machine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from ipclab.backends.base import Site
from ipclab.errors import ChannelError
from ipclab.host.clock import now_ns
from ipclab.host.stacks import NO_STACK
from ipclab.hosts import host as hosts
from ipclab.hosts.address import Address
from ipclab.hosts.clock_bound import is_one_clock
from ipclab.hosts.echo import COUNT, new_token
from ipclab.hosts.far_end import clock_identity
from ipclab.hosts.host import Host
from ipclab.hosts.placement import machine_of
from ipclab.trial import workloads
from ipclab.trial.assignment import Assignment
from ipclab.trial.machines import logs, words
from ipclab.trial.machines.clocks import Clocks
from ipclab.trial.orders import Burst, Done, Go, Hold, Quit, Release, Stop, Withhold
from ipclab.trial.processes import Crew, Worker
from ipclab.trial.rawlog import RECEIPT_BYTES
from ipclab.trial.spec import TrialSpec

AGENT = "ipclab.trial.machines.agent"
LEAD_S = 0.3
"""Time between the starting signal and the start: it must have reached every machine by then."""
RELAY_S = 0.01
FIRST_S = 60.0
_ANSWER_S = 20.0
_LOOK_S = 10.0
_PINGS = 5
_ROLE = {"pinger": "producer", "echoer": "consumer", "adder": "producer", "owner": "consumer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """How to reach the machines 1, 2, … of a trial. ``wheel`` is a wheel to copy to each, or empty."""

    addresses: tuple[Address, ...]
    wheel: str = ""


class RemoteWorker(Worker):
    """A worker on another machine, as the process of the trial sees it."""

    def __init__(self, assignment: Assignment[Any], machine: int, host: Host) -> None:
        self.name = assignment.name
        self.role: str = assignment.role
        self.logs: Path = assignment.logs
        self.machine = machine
        self.ready = False
        self.done: Done | None = None
        self.failure = ""
        self.detail = ""
        self.ended = False
        self.reports: list[Done] = []
        self._host = host
        self._reason = ""
        self._crashed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """Return nothing: its process is not on this machine."""
        return ()

    @property
    def crashed(self) -> bool:
        """Return whether its process ended in any way but by returning or by an exception of a call."""
        return self._crashed

    @property
    def gave_up(self) -> str:
        """Return the failure without the name."""
        return self._reason

    def tell(self, order: Go | Stop | Quit | Burst | Hold | Withhold | Release) -> bool:
        """Send an order; return False where the machine is lost. The starting signal goes to all at once."""
        match order:
            case Stop(count):
                return self._host.tell(words.encode(words.Instruct(self.name, count)))
            case Quit():
                return self._host.tell(words.encode(words.Instruct(self.name)))
            case _:
                raise TypeError(f"a worker of another machine is not told {order!r}")

    def end(self, message: words.Ended) -> None:
        """Enter how it gave up or ended."""
        if message.failure:
            self.failure = f"{message.failure} (on machine {self.machine})"
            self.detail, self._reason, self._crashed = message.detail, message.reason, message.crashed
        self.ended = message.ended

    def lose(self, reason: str) -> None:
        """Enter that its machine is lost."""
        if not self.ended:
            self.failure = self.failure or f"{self.name}: {reason}"
            self._reason = self._reason or reason
            self.ended = True


class RemoteCrew(Crew):
    """All workers of one trial on several machines. Use as a context manager: at its end none is alive.

    ``open()`` comes after all ``start()``, and ``collect()`` before the end: until then the logs here have
    only the progress of those on the machines. Raise ChannelError where a machine cannot take part.
    """

    lead_s = LEAD_S
    keeps_tails = False

    def __init__(self, spec: TrialSpec, site: Site, folder: Path, machines: Machines) -> None:
        super().__init__(spec.start_method)
        self._spec = spec
        self._site = site
        self._folder = folder
        placement = spec.placement
        reference = placement["consumer" if "consumers" in workloads.of(spec).options else "producer"][0]
        self._clocks = Clocks(reference)
        used = sorted({number for numbers in placement.values() for number in numbers})
        self.hosts: dict[int, Host] = {}
        self._mirrors = logs.Mirrors(folder)
        self._answers: dict[int, deque[words.FromAgent]] = {number: deque() for number in used}
        self._refused: dict[int, words.Refused] = {}
        self._samples: dict[int, deque[words.Sampled]] = {number: deque() for number in used}
        self._have: dict[str, int] = {}
        self._new: dict[int, dict[str, int]] = {}
        self._relayed = time.monotonic()
        self._to_trial_ns = 0
        self._reachable: dict[int, tuple[str, int]] = {}
        self._mirrored_ns = self._told_ns = 0
        self.readings: list[dict[int, words.Sampled]] = []
        self.collected = False
        try:
            for number in used:
                self.hosts[number] = Host(
                    number, machines.addresses[number - 1], AGENT, folder, wheel=machines.wheel
                )
        except BaseException:
            self.end()
            raise

    @property
    def clocks(self) -> Clocks:
        """Return the clocks of the machines."""
        return self._clocks

    def start(self, assignment: Assignment[Any]) -> Worker:
        """Enter the worker; ``open()`` starts all of them."""
        role = _ROLE.get(assignment.role, assignment.role)
        machine = machine_of(self._spec.placement, role, assignment.index)
        member = RemoteWorker(assignment, machine, self.hosts[machine])
        self.workers.append(member)
        return member

    def open(self) -> None:
        """Connect, compare the clocks, and start every worker. Raise ChannelError."""
        self._wait(lambda: all(host.facts or host.lost for host in self.hosts.values()), FIRST_S, "answer")
        for number, host in self.hosts.items():
            self._require(number)
            if host.facts is not None and (misfit := host.facts.misfit(number)):
                raise ChannelError(misfit)
        token = new_token()
        self._tell_all(words.Assign(self._spec, self._site.namespace, self._site.url, token))
        for number in self.hosts:
            assigned = self._answer(number, words.Assigned)
            self._reachable[number] = (assigned.host, assigned.port)
        self._compare_clocks()
        for number in self.hosts:
            self._tell(number, words.Employ([w.name for w in self._members(number)]))

    def trial_ns(self, own_ns: int) -> int:
        """Return a moment of this process's clock on the clock of the trial."""
        return own_ns + self._to_trial_ns

    def go(self, start_ns: int, end_ns: int, sample_ns: tuple[int, int]) -> None:
        """Give all workers the starting signal. All times are of the trial's clock."""
        reference = self.clocks.reference
        for number in self.hosts:
            there = self.clocks.map_of(number).to_remote_ns
            self.clocks.start_ns[number] = there(start_ns)
            first_ns, last_ns = sample_ns
            ping = {n: self._reachable[n] for n in self.clocks.others()} if number == reference else {}
            samples_ns = (there(first_ns), there(last_ns))
            self._tell(number, words.Start(there(start_ns), there(end_ns), samples_ns, ping))

    def sampled(self) -> dict[int, words.Sampled]:
        """Return the next reading of the CPU clocks of each machine; it was due before."""
        self._wait(
            lambda: all(self._samples[n] or self.hosts[n].lost for n in self.hosts),
            _ANSWER_S,
            "sample its clocks",
        )
        return {number: found.popleft() for number, found in self._samples.items() if found}

    def listen(self, timeout_s: float, among: Sequence[Worker] | None = None) -> None:
        """Take in messages of all machines, and pass on the progress of their logs."""
        if hosts.listen(list(self.hosts.values()), min(timeout_s, RELAY_S)):
            self._take_in()
        self._relay()

    def fetch(self) -> None:
        """Copy from the machines what their logs have beyond those here. Times stay those of the machines."""
        if self.collected:
            return
        for number in self.hosts:
            mine = {w.name for w in self._members(number)}
            have = {log: count for log, count in self._have.items() if logs.owner(log) in mine}
            self._tell(number, words.Fetch(have))
        for number, host in self.hosts.items():
            if not host.lost:
                fetched = self._answer(number, words.Fetched)
                self._mirrored_ns = max(self._mirrored_ns, fetched.mirror_age_ns)
                self._told_ns = max(self._told_ns, fetched.told_age_ns)

    @property
    def mirror_age_ns(self) -> int:
        """Return how old the progress of another machine was at most, without the time on the way."""
        return self._mirrored_ns + self._told_ns

    def collect(self) -> None:
        """Fetch all logs of the machines that are left, and map their times to the trial's clock."""
        if self.collected:
            return
        try:
            self.fetch()
            self._compare_clocks_again()
        except ChannelError:
            # A machine was lost meanwhile; its workers have failed, and the trial with them.
            self._take_in()
        self.collected = True
        for member in self.workers:
            assert isinstance(member, RemoteWorker)
            for kind in logs.KINDS:
                path = self._folder / f"{member.name}.{kind}"
                if path.exists() and member.machine in self._reachable:
                    logs.map_times(path, self.clocks.map_of(member.machine))

    def stacks(self, among: Sequence[Worker] | None = None) -> dict[str, str]:
        """End every worker that has not reported, or ``among``; return the stack of each, by name."""
        alive = [w for w in self.workers if not w.ended]
        stuck = list(among) if among is not None else [w for w in alive if not w.settled] or alive
        found = {w.name: NO_STACK for w in stuck}
        for number, host in self.hosts.items():
            if names := [w.name for w in self._members(number) if w in stuck]:
                self._tell(number, words.Look(names))
                if not host.lost:
                    found |= self._answer(number, words.Seen).stacks
        return found

    def end(self) -> None:
        """End all workers, and the connections to all machines."""
        for host in self.hosts.values():
            host.close()
        for member in self.workers:
            member.ended = True
        self._mirrors.close()

    def machine_of(self, name: str) -> int:
        """Return the number of the machine of this worker."""
        return next(w.machine for w in self.workers if w.name == name and isinstance(w, RemoteWorker))

    def _members(self, number: int) -> list[Worker]:
        return [w for w in self.workers if isinstance(w, RemoteWorker) and w.machine == number]

    def _compare_clocks(self) -> None:
        reference = self.clocks.reference
        facts = {number: host.facts for number, host in self.hosts.items()}
        shown = {number: found.clock for number, found in facts.items() if found is not None}
        self._to_trial_ns = 0 if shown[reference] == clock_identity() else self._rough_ns(reference)
        self.clocks.same(reference)
        other = [number for number in self.hosts if number != reference]
        if other:
            taken = self._echoes(other, COUNT).answers
            for number in other:
                echoes = taken.get(number, [])
                # Copies of one virtual machine name the same clock, and have clocks of their own.
                if shown[number] == shown[reference] and is_one_clock(echoes):
                    self.clocks.same(number)
                else:
                    self.clocks.before(number, echoes, self._rough_ns(number) - self._to_trial_ns)

    def _compare_clocks_again(self) -> None:
        if other := self.clocks.others():
            found = self._echoes(other, COUNT)
            for number in other:
                self.clocks.after(number, found.answers.get(number, []), found.pings.get(number, []))

    def _echoes(self, of: Sequence[int], count: int) -> words.Echoed:
        reference = self.clocks.reference
        self._tell(reference, words.Echo({n: self._reachable[n] for n in of}, count))
        found: words.Echoed = self._answer(reference, words.Echoed)
        return found

    def _rough_ns(self, number: int) -> int:
        """Return the offset of a machine's clock to the one here, from the shortest of a few round trips."""
        trips = []
        for _ in range(_PINGS):
            began_ns = now_ns()
            self._tell(number, words.Ping())
            at_ns: int = self._answer(number, words.Pong).at_ns
            ended_ns = now_ns()
            trips.append((ended_ns - began_ns, at_ns - (began_ns + ended_ns) // 2))
        return min(trips)[1]

    def _tell(self, number: int, order: words.ToAgent) -> None:
        self.hosts[number].tell(words.encode(order))

    def _tell_all(self, order: words.ToAgent) -> None:
        for number in self.hosts:
            self._tell(number, order)

    def _answer(self, number: int, kind: type[Any]) -> Any:
        """Wait for the answer of this kind from a machine. Raise ChannelError where it does not come."""
        self._wait(lambda: bool(self._answers[number]) or bool(self.hosts[number].lost), _ANSWER_S, "answer")
        self._require(number)
        found = self._answers[number].popleft()
        if not isinstance(found, kind):
            raise ChannelError(f"machine {number} answered {found!r}, not {kind.__name__}")
        return found

    def _require(self, number: int) -> None:
        """Raise ChannelError where the machine is lost or has refused."""
        if number in self._refused:
            raise ChannelError(f"machine {number}: {self._refused[number].reason}")
        if not self._answers[number] and self.hosts[number].lost:
            raise ChannelError(self.hosts[number].lost)

    def _wait(self, until: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not until():
            if time.monotonic() > deadline:
                silent = next((n for n, host in self.hosts.items() if not host.lost), 0)
                raise ChannelError(f"machine {silent} did not {what} within {within_s:g} s")
            for number in self._refused:
                self._require(number)
            self.listen(RELAY_S)

    def _take_in(self) -> None:
        for number, host in self.hosts.items():
            while host.inbox:
                self._take(number, words.decode_from_agent(host.inbox.popleft()))
            if host.lost:
                for member in self._members(number):
                    assert isinstance(member, RemoteWorker)
                    member.lose(host.lost)

    def _take(self, number: int, message: words.FromAgent) -> None:
        match message:
            case words.Moved(counts):
                self._mirrors.set(counts)
                self._new.setdefault(number, {}).update(counts)
            case words.Connected(name):
                self._named(name).ready = True
            case words.Reported(name, done):
                member = self._named(name)
                member.done = member.done or done
                member.reports.append(done)
            case words.Ended(name):
                self._named(name).end(message)
            case words.Sampled():
                self._samples[number].append(message)
            case words.Shipped(log, first, records):
                logs.enter(self._folder, log, first, records)
                record_bytes = RECEIPT_BYTES if log.endswith(".receipts") else 8
                self._have[log] = first + len(records) // record_bytes
                self._mirrors.set({log: self._have[log]})
            case words.Refused():
                self._refused[number] = message
                for one in self._members(number):
                    assert isinstance(one, RemoteWorker)
                    one.lose(f"machine {number}: {message.reason}")
            case words.Surveyed() | words.Assigned():
                self._answers[number].append(message)
            case words.Fetched() | words.Echoed() | words.Pong() | words.Seen():
                self._answers[number].append(message)
            case _:
                assert_never(message)

    def _named(self, name: str) -> RemoteWorker:
        found = next(w for w in self.workers if w.name == name)
        assert isinstance(found, RemoteWorker)
        return found

    def _relay(self) -> None:
        """Pass on the progress of each machine's logs to the others, every ``RELAY_S``."""
        now = time.monotonic()
        if not self._new or now - self._relayed < RELAY_S:
            return
        self._relayed = now
        new, self._new = self._new, {}
        for number in self.hosts:
            counts: dict[str, int] = {}
            for source, found in new.items():
                if source != number:
                    counts |= found
            if any(source != number for source in new):
                self._tell(number, words.Mirror(counts))
