"""One cell of the fault matrix: a channel in use, a fault at a stated moment, and the result.

Two producers and two consumers (one of each where the channel takes no more) send and receive as a program
would. A warm-up shows that everything works; then the fault strikes (see ``strike``), is healed, and a new
process replaces each killed one. All producers send once more, and the consumers continue until everything
has arrived or nothing more does.

A process that does not return from a call of the backend within ``grace_s`` hangs; its stack shows the
primitive.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator, Set
from dataclasses import replace

import msgspec

from ipclab.backends.base import Channel, Guarantees, LossCause, Site
from ipclab.backends.declared import server_pids
from ipclab.backends.registry import channel_class
from ipclab.brokers import kinds
from ipclab.brokers.settings import applied
from ipclab.checks.drops import Drops
from ipclab.errors import IpclabError
from ipclab.faults.proxy.handle import Proxy, url_through
from ipclab.faults.server import Server
from ipclab.faults.spec import FaultSpec
from ipclab.history.log import FaultLog
from ipclab.trial import expiry, judge, serving
from ipclab.trial.cast import Cast, set_up, tear_down
from ipclab.trial.logged import RECONNECTING
from ipclab.trial.primitive import adapters, name_primitive, stands_in
from ipclab.trial.processes import Worker
from ipclab.trial.record import Safety
from ipclab.trial.safety import Played, Stage
from ipclab.trial.strike import GAP_S, SMALL_BYTES, WAIT_S, Strike
from ipclab.trial.worker import history_path

_OPEN = "{} confirmed messages may be left where nobody could receive them, so their loss is unknown"
_CRASHED = "{} by itself: the fault did not strike that process"
WARM_UP = 20
"""Messages of each producer that must arrive before the fault."""
AFTER = 40
"""Messages of each producer after the fault."""


def play(stage: Stage) -> Played:
    """Play the cell of ``stage.spec.fault``. Raise what setting up the backend raises."""
    fault = stage.spec.fault
    assert fault is not None
    channel = channel_class(stage.spec.backend)(_site(stage), **stage.spec.backend.options)
    guarantees = serving.under(channel.guarantees, stage.broker, stage.spec.broker_settings)
    options, declared = dict(channel.chosen), guarantees.described()
    if refusal := _refusal(stage, fault):
        refused = Safety(model="delivery", verdict="valid", refused=refusal)
        return Played(safety=refused, options=options, declared=declared)
    with contextlib.ExitStack() as stack:
        if stage.broker is not None and stage.spec.broker_settings:
            stack.enter_context(applied(stage.broker, stage.spec.broker_settings))
        stack.callback(tear_down, channel)
        set_up(channel)
        settled_at_s = time.monotonic() + channel.settles_after_s
        proxy = stack.enter_context(_proxy(stage)) if _needs_proxy(stage, fault) else None
        server = Server(stage.broker, server_pids(channel))
        cast = stack.enter_context(Cast(stage.spec, channel, stage.folder, server.processes))
        log = stack.enter_context(contextlib.closing(FaultLog(stage.folder / "faults.history")))
        strike = Strike(fault, cast, server, proxy, log)
        scene = _Scene(stage, fault, cast, proxy, strike, guarantees, settled_at_s=settled_at_s)
        safety = scene.play()
        played = Played(safety=safety, stuck=scene.stacks, options=options, declared=declared)
        stage.found(played)
    return played


def _site(stage: Stage) -> Site:
    """Return the site, with one more place of each kind: for replacements and for the sender of stops."""
    spec = stage.spec
    return replace(stage.site, producers=spec.producers + 2, consumers=spec.consumers + 1)


def _refusal(stage: Stage, fault: FaultSpec) -> str:
    harmed = (fault.target == "broker" and fault.fault.harms_broker) or stage.spec.broker_settings
    if harmed and stage.broker is not None and not stage.broker.ours:
        return (
            f"{stage.broker.kind} at {stage.broker.masked_url} was not started by the lab, so the lab "
            f"neither harms it nor changes its settings; {stage.broker.to_control_it}"
        )
    if fault.effect == "fills" and stage.broker is not None:
        of = kinds.get(stage.broker.kind)
        if not of.has_memory_limit:
            return f"{of.title} has no memory limit that the lab could set"
    broker = stage.broker if _needs_proxy(stage, fault) else None
    if broker is not None and not kinds.get(broker.kind).accepts_proxy(broker.url):
        return f"it needs a proxy before the server, which {broker.masked_url} does not allow"
    return ""


def _needs_proxy(stage: Stage, fault: FaultSpec) -> bool:
    on_the_line = fault.fault.on_the_line or fault.moment == "mid-message"
    return stage.broker is not None and on_the_line


@contextlib.contextmanager
def _proxy(stage: Stage) -> Iterator[Proxy]:
    assert stage.broker is not None
    host, port = kinds.get(stage.broker.kind).address(stage.broker.url)
    assert host is not None
    with Proxy(host, port, stage.spec.start_method) as proxy:
        yield proxy


class _Scene:
    """The cell while it runs. ``stacks`` are those of the processes that hung."""

    def __init__(
        self,
        stage: Stage,
        fault: FaultSpec,
        cast: Cast,
        proxy: Proxy | None,
        strike: Strike,
        guarantees: Guarantees,
        *,
        settled_at_s: float,
    ) -> None:
        self._guarantees = guarantees
        self._settled_at_s = settled_at_s
        self._stage = stage
        self._spec = stage.spec
        self._fault = fault
        self._cast = cast
        self._channel = cast.channel
        self._proxy = proxy
        self._strike = strike
        self.stacks: dict[str, str] = {}
        self._slow: frozenset[str] = frozenset()

    def play(self) -> Safety:
        """Run all acts, one after the other, and return the result.

        Raise IpclabError where messages did not arrive even before the fault.
        """
        cast = self._cast
        producers = [self._start("producer", i) for i in range(self._spec.producers)]
        # An idle victim is the consumer that has waited longest: it would have got the next message.
        waits_longest = self._fault.target == "consumer" and self._fault.moment == "idle"
        early = 1 if waits_longest and not cast.fan_out else self._spec.consumers
        consumers = [self._start("consumer", i) for i in range(early)]
        self._require_connected([*producers, *consumers])
        cast.burst(producers, WARM_UP, cast.size(SMALL_BYTES))
        if not cast.outlast(lambda: cast.done(producers) and not cast.missing(), WAIT_S):
            if not cast.receipts():
                raise IpclabError(f"no message of the warm-up arrived: {self._complaints()}")
            # Some of the warm-up is lost, without any fault.
            self._strike.missed = "some messages of the warm-up did not arrive, so the fault was not applied"
            self._finish()
            return self._judge()
        self._require_idle_consumers(consumers)
        if not self._strike.leave_unacknowledged(producers, consumers[0]):
            raise IpclabError("the message that a consumer was to hold did not reach it")
        self._require_idle_consumers(consumers)
        late = [self._start("consumer", i) for i in range(early, self._spec.consumers)]
        self._require_connected(late)
        consumers += late
        if not self._channel.replaceable:
            # From here on only the workers hold the ends, so that each notices when the other is gone.
            self._channel.keep_end(None)
        self._require_idle_consumers(consumers)
        # A broker that is ended in good order saves what it has gathered.
        if self._fault.ends_broker and self._fault.fault.abrupt:
            cast.pass_time(max(0.0, self._settled_at_s - time.monotonic()))
        self._strike.at_its_moment(producers, consumers)
        self._finish()
        return self._judge()

    def _start(self, role: str, index: int) -> Worker:
        return self._cast.start(role, index, channel=self._channel_of(role, index))

    def _channel_of(self, role: str, index: int) -> Channel | None:
        """Return the channel that this worker uses: behind the proxy, if the fault needs the proxy."""
        if self._proxy is None:
            return None
        by_broker = self._fault.target == "broker" and (
            self._fault.fault.on_the_line or (role == "producer" and index == 0)
        )
        if not by_broker and (self._fault.target != role or index):
            return None
        clone = copy.copy(self._channel)
        through = url_through(self._channel.site.broker_url, self._proxy.port)
        clone.site = replace(self._channel.site, url=through)
        return clone

    def _require_connected(self, members: list[Worker]) -> None:
        if not self._cast.ready(members):
            raise IpclabError(f"the workers did not connect: {self._complaints()}")

    def _require_idle_consumers(self, consumers: list[Worker]) -> None:
        """Wait until all idle consumers sleep in ``receive()``, where the fault strikes an idle one.

        A consumer that has only logged its last receipt would come to the queue behind one that starts now.
        """
        resting = self._fault.moment == "idle"
        if resting and not self._cast.outlast(lambda: all(self._cast.waits(w) for w in consumers), WAIT_S):
            raise IpclabError("the consumers did not become idle")

    def _complaints(self) -> str:
        failures = [w.failure for w in self._cast.crew.workers if w.failure]
        return "; ".join(failures) or f"nothing within {WAIT_S:g} s"

    def _finish(self) -> None:
        """Send once more, drain, and stop all; take the stack of each process that hangs, and end it."""
        cast, patience_s = self._cast, self._spec.grace_s
        cast.ready([w for w in cast.crew.workers if not w.ready and not w.gone], patience_s)
        producers = [w for w in cast.crew.by_role("producer") if not w.gone]
        cast.outlast(lambda: cast.done(producers), patience_s)
        stuck = [w for w in producers if not cast.idle(w)]
        going = [w for w in producers if cast.idle(w) and not w.gone]
        cast.burst(going, AFTER, cast.size(SMALL_BYTES), GAP_S)
        cast.outlast(lambda: cast.done(going), patience_s)
        stuck += [w for w in going if not cast.idle(w)]
        idle = [w for w in going if cast.idle(w)]
        if self._channel.replaceable:
            stuck += cast.dismiss(idle, patience_s)
            cast.drain(self._quiet_s(), 3 * patience_s)
            consumers = [w for w in cast.crew.by_role("consumer") if not w.gone]
            stuck += cast.stop(consumers, patience_s, place=self._spec.producers + 1)
        else:
            cast.drain(self._quiet_s(), 3 * patience_s)
            stuck += cast.stop_by(idle, patience_s)
        self._slow = cast.slow
        self.stacks = cast.stacks(stuck)
        cast.crew.end()
        cast.look()

    def _quiet_s(self) -> float:
        """Return the seconds without a receipt after which missing messages count as lost."""
        quiet_s = self._spec.drain_s + self._channel.redelivers_after_s
        return quiet_s if self._may_lose() else max(quiet_s, self._spec.grace_s)

    def _may_lose(self) -> bool:
        return self._cause() in self._guarantees.may_lose or self._expired()

    def _expired(self) -> bool:
        first_ns = expiry.first_ns(self._cast.began_ns)
        return expiry.explains(self._guarantees, self._channel.expires_after_s, first_ns)

    def _cause(self) -> LossCause | None:
        # Without a fault nobody died: only overload can explain a loss.
        if not self._strike.struck_ns:
            return "overload"
        return self._fault.fault.excuses(self._fault.target, self._guarantees)

    def _most_held(self) -> int | None:
        """Return the most messages that the victim can have held, where it is a consumer."""
        loses = self._fault.target == "consumer" and self._fault.effect != "stops"
        return self._channel.most_in_flight if loses else None

    def _excuses(self, lost: int, drops: Drops) -> bool:
        """Return whether so many lost messages do not count: whatever the fault, the server dropped them, or
        the fault may cost them. A loss by overload alone is held to what the server dropped."""
        explained = lost > 0 and drops.items > 0 and drops.explain(lost)
        return explained or (self._may_lose() and (self._cause() != "overload" or not lost))

    def _drops(self) -> Drops | None:
        """Return what the server dropped, where that may explain a loss: see ``Losses.drops``."""
        return self._stage.losses.drops(self._channel.guarantees, settings=self._spec.broker_settings)

    def _judge(self) -> Safety:
        guarantees, workers = self._guarantees, self._cast.crew.workers
        undelivered = self._may_be_undelivered()
        head = judge.header(
            self._stage,
            guarantees,
            "delivery",
            drained=not undelivered,
            may_lose=self._may_lose(),
            in_flight=self._in_flight(),
        )
        heard = [w.name for w in workers if w.name not in self._strike.left_out]
        logs = [history_path(self._stage.folder, name) for name in heard]
        logs.append(self._stage.folder / "faults.history")
        history = judge.keep(self._stage, head, logs)
        verdict = judge.strict(history, "delivery", self._spec.grace_s)
        counts = {**verdict.counts, "indefinite": verdict.counts["attempted"] - verdict.counts["confirmed"]}
        drops = self._drops()
        if drops is not None and self._excuses(counts["lost"], drops) != head.may_lose:
            # The stored history excuses what the trial excuses, so that both are judged alike.
            history = judge.keep(self._stage, msgspec.structs.replace(head, may_lose=not head.may_lose), logs)
        if self._spec.work:
            counts["unfinished"] = self._cast.unfinished()
        if undelivered:
            counts |= {"undelivered": counts["lost"], "lost": 0, "lost_excused": 0}
        own = adapters(type(self._channel))
        # A worker that pauses before it reconnects hangs nowhere: it has no connection.
        hung = {
            name: name_primitive(stack, own)
            for name, stack in self.stacks.items()
            if name not in self._slow and not stands_in(stack, RECONNECTING)
        }
        broken = judge.promise(
            counts,
            guarantees,
            self._cause(),
            fault=True,
            undelivered=undelivered,
            at_most=self._most_held(),
            drops=drops,
            expired=self._expired(),
        )
        missed = self._strike.missed
        # Whether they are lost for good cannot be known, and it would matter.
        open_ = bool(counts.get("undelivered")) and not self._may_lose()
        crashed = self._crashed()
        finding = missed or crashed or (_OPEN.format(counts["undelivered"]) if open_ else "")
        return Safety(
            model="delivery",
            verdict=judge.word(broken, known=not finding),
            broken=broken,
            anomalies=dict(verdict.anomalies),
            counts=counts,
            finding=finding,
            hung=hung,
            gave_up=self._gave_up(self.stacks.keys() - hung.keys() - self._slow)
            | judge.too_slow(self.stacks, self._slow, own),
            first_again_s=self._first_again_s(),
            counterexample=judge.counterexample(history, verdict),
            history=self._stage.history_name,
        )

    def _may_be_undelivered(self) -> bool:
        """Return whether missing messages may be left where nobody can receive or deliver them."""
        crew = self._cast.crew
        hung = {w.role for w in crew.workers if w.name in self.stacks}
        held_back = self._guarantees.confirm == "buffered" and "producer" in hung
        return held_back or bool(hung - {"producer"}) or not any(w.done for w in crew.by_role("consumer"))

    def _crashed(self) -> str:
        """Return which process crashed by itself, and how; empty where none did.

        No declaration covers such a crash, so the trial cannot show that the channel kept its guarantees.
        """
        crashed = [w.failure for w in self._failed() if w.crashed]
        return _CRASHED.format("; ".join(crashed)) if crashed else ""

    def _failed(self) -> list[Worker]:
        """Return the workers that failed by themselves: not victims of the fault, and not ended as hung."""
        ended_by_us = self._strike.victims | self.stacks.keys()
        return [w for w in self._cast.crew.workers if w.failure and w.name not in ended_by_us]

    def _gave_up(self, reconnecting: Set[str]) -> dict[str, str]:
        found = {w.name: w.gave_up for w in self._failed()}
        return found | dict.fromkeys(reconnecting, "NoConnection: it was still trying when the trial ended")

    def _in_flight(self) -> int:
        """Return how many messages a killed consumer may have held beyond the one it was asking for."""
        most = self._channel.most_in_flight
        return len(self._cast.began_ns) if most is None else most - 1

    def _first_again_s(self) -> float | None:
        """Return the recovery time, only where messages were sent all the time: elsewhere the lab sets it."""
        from_ns = self._strike.flows_from_ns
        if self._fault.moment != "busy" or not from_ns:
            return None
        later = {value for value, ns in self._cast.began_ns.items() if ns >= from_ns}
        received = self._cast.received_ns.values()
        times = [ns for got in received for value, ns in got.items() if value in later]
        return (min(times) - from_ns) / 1e9 if times else None
