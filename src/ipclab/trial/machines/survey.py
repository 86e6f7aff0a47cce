"""What ``ipclab hosts check`` finds out about machines, without a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ipclab.host.clock import now_ns
from ipclab.hosts import host as hosts
from ipclab.hosts.clock_bound import OffsetBound, bound_of
from ipclab.hosts.echo import COUNT, new_token
from ipclab.hosts.host import Facts, Host, require_engine
from ipclab.trial.machines import words
from ipclab.trial.machines.crew import AGENT, FIRST_S, Machines

ANSWER_S = 20.0
_PINGS = 20


@dataclass(slots=True)
class Found:
    """What is known of one machine.

    ``problem``     why it cannot take part, with the command that helps; empty where it can.
    ``trip_ns``     the shortest round trip of a message to its agent.
    ``bound_ns``    the largest error of its clock relative to that of the first machine; 0 where both are one
                    clock, None where no echo came back.
    ``refused``     of each server that it does not reach, by name, why not.
    """

    number: int
    facts: Facts | None = None
    problem: str = ""
    trip_ns: int | None = None
    bound_ns: float | None = None
    refused: Mapping[str, str] = field(default_factory=dict)


def examine(machines: Machines, servers: Mapping[str, tuple[str, int]]) -> list[Found]:
    """Return what each machine has. ``servers`` are those that each should reach, by name.

    Raise UsageError where the engine is not installed.
    """
    require_engine()
    with TemporaryDirectory(prefix="ipclab-hosts-") as name:
        made = [
            Host(number, address, AGENT, Path(name), wheel=machines.wheel)
            for number, address in enumerate(machines.addresses, 1)
        ]
        try:
            return _Survey(made, servers).found()
        finally:
            for one in made:
                one.close()


class _Survey:
    def __init__(self, machines: list[Host], servers: Mapping[str, tuple[str, int]]) -> None:
        self._hosts = {one.number: one for one in machines}
        self._servers = dict(servers)

    def found(self) -> list[Found]:
        self._wait(lambda: all(one.facts or one.lost for one in self._hosts.values()), FIRST_S)
        every = [self._examined(one) for one in self._hosts.values()]
        fit = [one for one in every if not one.problem]
        token, reachable = new_token(), {}
        for one in fit:
            answer = self._ask(one, words.Survey(token, self._servers), words.Surveyed)
            if answer is not None:
                one.refused, reachable[one.number] = answer.refused, (answer.host, answer.port)
                one.trip_ns = self._trip_ns(one)
        self._compare_clocks([one for one in fit if one.number in reachable], reachable)
        return every

    def _examined(self, one: Host) -> Found:
        problem = one.lost if one.facts is None else one.facts.misfit(one.number)
        if one.facts is None and not one.lost:
            problem = f"machine {one.number} did not answer within {FIRST_S:g} s"
        return Found(one.number, one.facts, problem)

    def _compare_clocks(self, fit: list[Found], reachable: dict[int, tuple[str, int]]) -> None:
        if not fit:
            return
        first, *others = fit
        first.bound_ns = 0.0
        assert first.facts is not None
        for one in others:
            assert one.facts is not None
            if one.facts.clock == first.facts.clock:
                one.bound_ns = 0.0
        apart = {one.number: reachable[one.number] for one in others if one.bound_ns is None}
        if not apart:
            return
        if (answer := self._ask(first, words.Echo(apart, COUNT), words.Echoed)) is not None:
            for one in others:
                proven = bound_of(answer.answers.get(one.number, []))
                if one.number in apart and isinstance(proven, OffsetBound):
                    one.bound_ns = proven.bound_ns

    def _trip_ns(self, one: Found) -> int | None:
        trips = []
        for _ in range(_PINGS):
            began_ns = now_ns()
            if self._ask(one, words.Ping(), words.Pong) is None:
                return None
            trips.append(now_ns() - began_ns)
        return min(trips)

    def _ask(self, one: Found, order: words.ToAgent, kind: type[Any]) -> Any:
        """Return the answer of this kind; None, with the problem entered, where there is none."""
        host = self._hosts[one.number]
        host.tell(words.encode(order))
        self._wait(lambda: bool(host.inbox or host.lost), ANSWER_S)
        found = words.decode_from_agent(host.inbox.popleft()) if host.inbox else None
        if isinstance(found, kind):
            return found
        reason = found.reason if isinstance(found, words.Refused) else host.lost or "did not answer"
        one.problem = reason if reason.startswith("machine") else f"machine {one.number}: {reason}"
        return None

    def _wait(self, until: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not until() and (left_s := deadline - time.monotonic()) > 0:
            hosts.listen(list(self._hosts.values()), left_s)
