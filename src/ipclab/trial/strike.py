"""Brings about the moment of a fault, and the fault in it: idle, busy, working, or in mid-message.

``working`` does not depend on luck: every consumer is told to stop at a gate with the message that it
receives next, before it acknowledges it (see ``gate``). Where a fault ends a consumer of a channel that
declares at-least-once, its victim has an unacknowledged message in every moment: what was received and not
finished must be redelivered, and a fault whose victim holds nothing would not show that.

The middle of a message does not depend on luck either. Over TCP the proxy holds a large message after its
first half. Over a pipe or a Unix socket the reader is stopped when it has a part of it (see ``trap``), so
that the writer blocks in the rest. Then the fault strikes, and what was held is released.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from ipclab.faults import trap
from ipclab.faults.base import FAULT_S, Scene, Victim
from ipclab.faults.proxy.handle import Proxy
from ipclab.faults.server import Server
from ipclab.faults.spec import FaultSpec, Moment, Target
from ipclab.history.log import FaultLog
from ipclab.host.clock import now_ns
from ipclab.trial.cast import Cast
from ipclab.trial.orders import Hold, Release, Withhold
from ipclab.trial.processes import Worker
from ipclab.trial.work import parse

BUSY, GAP_S = 250, 0.004
"""Messages of each producer while the fault lasts, and the pause after each: one second in all."""
MOST_UTILISED = 0.8
"""Share of their time that consumers with work are busy while messages flow."""
UNDER_WAY = 25
"""Receipts after which messages count as flowing."""
AT_REST = 30
"""Messages in a broker when it ends: of each producer, or of both where they continue to send."""
SMALL_BYTES = 256
LARGE_LOCAL_BYTES = 32 << 20
LARGE_BYTES = 12 << 20
"""Size of the message in whose middle the fault strikes: over a pipe; and over TCP, where the kernel takes
some MiB from its sender before that blocks, unless the backend carries no more than that anyway."""
FILL_BYTES = 64 << 10
FILL_SHARE = 1.5
"""Share of a broker's room that is sent to fill it."""
FILL_BLOCKED = 50
"""Messages of each producer to a broker that accepts none."""
FILL_WITHIN_S = 60.0
HOLD_S = 1.0
"""How long a message may take to reach the consumer that is to be held with it, before another is sent."""
HELD = 3
"""Messages that the victim holds unacknowledged, because a channel may redeliver only one of several."""
HELD_WITHIN_S = 0.3
"""How long a busy victim that holds one message may take to get the others. Some channels give it none."""
ATTEMPTS = 8
"""Attempts to catch a process in the middle of a message."""
WAIT_S = 10.0


class Strike(Scene):
    """One fault of one trial.

    ``struck_ns`` is when the fault was in force (0 where it never was). ``flows_from_ns`` is the time from
    which only the fault keeps messages from flowing. ``victims`` are the workers it killed; ``left_out``
    those whose part of the history must not be judged. ``missed`` says in words why the trial shows nothing;
    empty where the fault struck.
    """

    def __init__(
        self, fault: FaultSpec, cast: Cast, server: Server, proxy: Proxy | None, log: FaultLog
    ) -> None:
        self._fault = fault
        self._cast = cast
        self.server = server
        self._proxy = proxy
        self.log = log
        self.target: Target = fault.target
        self.moment: Moment = fault.moment
        self.victim: Victim | None = None
        self.on_line: Sequence[Victim] = ()
        self._reading: Worker | None = None
        self._gated: list[Worker] = []
        self._senders: list[Worker] = []
        self._receivers: list[Worker] = []
        self._stopped_reader: int | None = None
        self._at_rest = False
        self.struck_ns = self.flows_from_ns = 0
        self.missed = ""
        self.victims: set[str] = set()
        self.left_out: set[str] = set()

    def at_its_moment(self, producers: Sequence[Worker], consumers: Sequence[Worker]) -> None:
        """Bring about the moment, strike, and heal; set ``missed`` where that was impossible.

        A broker that is to end holds messages by then: an empty one could lose nothing. So the consumers
        stand still meanwhile, as slow ones would.
        """
        self._senders = list(producers)
        with contextlib.ExitStack() as still:
            still.callback(self._release)
            comes = self._fault.moment != "working" or self._hold(producers, consumers)
            if self._fault.ends_broker:
                comes = comes and self._leave_messages_at_rest(producers, consumers, still)
            else:
                comes = comes and self._keep_busy(producers)
            if self._fault.moment == "busy" and self._ends_unfinished_work():
                comes = comes and self._withhold(consumers[0])
            strike = self._in_mid_message if self._fault.moment == "mid-message" else self._apply
            if not comes or (struck := strike(producers, consumers)) is None:
                self.missed = "the moment did not occur, so the fault was not applied"
            elif not struck:
                self.missed = "the fault may not have taken effect"

    def leave_unacknowledged(self, producers: Sequence[Worker], victim: Worker) -> bool:
        """Give an idle victim ``HELD`` messages that it does not acknowledge, where the fault will end it.

        It then waits for the next one, as a consumer that acknowledges in batches does. A channel may deliver
        fewer before the first is acknowledged. Return False where none arrives.
        """
        if self._fault.moment != "idle" or not self._ends_unfinished_work():
            return True
        cast = self._cast
        if not cast.outlast(cast.settled, WAIT_S):
            return False
        since_ns = now_ns()
        victim.tell(Withhold())
        for count in range(1, self._most_held() + 1):
            cast.burst(producers[:1], 1, cast.size(SMALL_BYTES))
            within_s = WAIT_S if count == 1 else HOLD_S
            if not cast.outlast(lambda: cast.held(victim, since_ns) >= count, within_s):  # noqa: B023 - used up
                return count > 1
        return True

    def _ends_unfinished_work(self) -> bool:
        """Return whether the fault ends a consumer whose unfinished messages must be redelivered."""
        ends = self._fault.target == "consumer" and self._fault.effect == "ends"
        return ends and not self._cast.fan_out and self._cast.channel.guarantees.delivery == "at-least-once"

    def _most_held(self) -> int:
        """Return how many messages the victim is to hold: one where the channel declares to lose them."""
        return 1 if "consumer crash" in self._cast.channel.guarantees.may_lose else HELD

    def _withhold(self, victim: Worker) -> bool:
        """Stop the victim's acknowledgements while messages flow, and wait until it holds some."""
        cast, since_ns = self._cast, now_ns()
        victim.tell(Withhold())
        if not cast.wait(lambda: cast.holds(victim, since_ns), WAIT_S):
            return False
        cast.wait(lambda: cast.held(victim, since_ns) >= self._most_held(), HELD_WITHIN_S)
        return True

    def _hold(self, producers: Sequence[Worker], consumers: Sequence[Worker]) -> bool:
        """Stop a consumer between a receipt and its acknowledgement; return False where none gets that far.

        The channel chooses which consumer gets a message, so all are told. Where the victim has a connection
        of its own, the stopped one must be the victim; consumers that already hold a message take no other.
        """
        cast = self._cast
        if not cast.outlast(lambda: not cast.missing() and cast.settled(), WAIT_S):
            return False
        since_ns = now_ns()
        for consumer in consumers:
            consumer.tell(Hold())
            self._gated.append(consumer)
        wanted = consumers[:1] if self._proxy is not None and self._fault.target == "consumer" else consumers
        for _ in range(ATTEMPTS):
            cast.burst(producers[:1], 1, cast.size(SMALL_BYTES))
            if cast.outlast(lambda: any(cast.holds(c, since_ns) for c in wanted), HOLD_S):
                self._reading = next(c for c in wanted if cast.holds(c, since_ns))
                return True
        return False

    def _release(self) -> None:
        """Let consumers that were held acknowledge and continue."""
        gated, self._gated = self._gated, []
        for consumer in gated:
            consumer.tell(Release())

    def _keep_busy(self, producers: Sequence[Worker]) -> bool:
        cast = self._cast
        flows = self._fault.moment == "busy" and self._fault.effect != "fills"
        if not flows:
            return True
        before = cast.receipts()
        self._flow(producers)
        return cast.wait(lambda: cast.receipts() - before >= UNDER_WAY, WAIT_S)

    def _leave_messages_at_rest(
        self, producers: Sequence[Worker], consumers: Sequence[Worker], still: contextlib.ExitStack
    ) -> bool:
        cast = self._cast
        if not self._keep_busy(producers):
            return False
        for consumer in consumers:
            still.enter_context(_stopped(consumer))
        self._at_rest = True
        if self._fault.moment == "busy":
            # Each consumer may have taken one message from the broker before it was stopped.
            return cast.wait(lambda: cast.missing() >= AT_REST + len(consumers), WAIT_S)
        cast.burst(producers, AT_REST, cast.size(SMALL_BYTES))
        return cast.wait(lambda: cast.done(producers), WAIT_S)

    def _apply(self, producers: Sequence[Worker], consumers: Sequence[Worker]) -> bool:
        """Strike, and heal. Return whether the fault certainly took effect."""
        match self._fault.target:
            case "producer":
                self.victim = producers[0]
            case "consumer":
                self.victim = self._reading or consumers[0]
            case "broker":
                self.victim = None
            case _:
                assert_never(self._fault.target)
        self.on_line = [*producers, *consumers] if self.victim is None else [self.victim]
        self._senders, self._receivers = list(producers), list(consumers)
        return self._fault.fault.strike(self)

    # What the fault may call meanwhile: see ``ipclab.faults.base.Scene``.

    @property
    def proxy(self) -> Proxy:
        """Return the proxy in front of the broker; only for a fault that is ``on_the_line``."""
        assert self._proxy is not None
        return self._proxy

    def takes_effect(self) -> None:
        """Note the time, and release what was held in the middle of a message."""
        self.struck_ns = self.flows_from_ns = now_ns()
        self._release_held()

    def pass_time(self, seconds: float) -> None:
        """Let the trial continue for this long."""
        self._cast.pass_time(seconds)

    def wait(self, until: Callable[[], bool], within_s: float) -> bool:
        """Let the trial continue until the condition holds; return whether it did in time."""
        return self._cast.wait(until, within_s)

    def replace(self, victim: Victim) -> None:
        """Start a new process in the place of a worker that the fault has ended."""
        self.victims.add(victim.name)
        if victim.role == "consumer" and self._cast.fan_out:
            # Nothing replaces a subscriber: messages due to it are due to it alone, and it is gone.
            self.left_out.add(victim.name)
            return
        if not self._cast.channel.replaceable:
            return
        spec = self._cast.spec
        self._cast.start(victim.role, spec.producers if victim.role == "producer" else spec.consumers)

    def let_work(self) -> None:
        """Let the consumers that the lab holds acknowledge, and messages flow."""
        self._release()
        self._flow(self._senders)

    def _flow(self, producers: Sequence[Worker]) -> None:
        """Let messages flow for about a second, no faster than consumers with work can take them."""
        spec, gap_s = self._cast.spec, GAP_S
        if spec.work:
            work_s = parse(spec.work).mean_ns / 1e9
            gap_s = max(GAP_S, work_s * spec.producers / spec.consumers / MOST_UTILISED)
        count = max(round(BUSY * GAP_S / gap_s), UNDER_WAY)
        self._cast.burst(producers, count, self._cast.size(SMALL_BYTES), gap_s)

    @contextlib.contextmanager
    def consumers_stand_still(self) -> Iterator[None]:
        """Make the consumers stand still within the block, as slow ones would."""
        with contextlib.ExitStack() as stopped:
            for consumer in self._receivers:
                stopped.enter_context(_stopped(consumer))
            yield
        # Until now the lab kept the consumers from receiving.
        self.flows_from_ns = now_ns()

    def fill(self, room_bytes: int | None) -> int:
        """Let the producers send more than fits into the room, or try to where there is none."""
        cast, size_bytes = self._cast, self._cast.size(FILL_BYTES)
        before = len(cast.began_ns)
        if room_bytes is None:
            cast.burst(self._senders, FILL_BLOCKED, cast.size(SMALL_BYTES))
            cast.pass_time(FAULT_S)
        else:
            count = int(room_bytes * FILL_SHARE / size_bytes / len(self._senders)) + 1
            cast.burst(self._senders, count, size_bytes)
            cast.wait(lambda: cast.done(self._senders), FILL_WITHIN_S)
        return (len(cast.began_ns) - before) * size_bytes

    def _in_mid_message(self, producers: Sequence[Worker], consumers: Sequence[Worker]) -> bool | None:
        """Strike in the middle of a message; return None where the moment does not come.

        Any of several consumers may get the large message, so this is tried several times.
        """
        sender, cast = producers[0], self._cast
        for _ in range(ATTEMPTS):
            if self._catch_on_the_line(sender) if self._proxy else self._catch_reading(sender, consumers):
                try:
                    return self._apply(producers, consumers)
                finally:
                    self._release_held()
            if self._proxy:
                # Too late now: a trap that springs later, unseen, would hold the line for ever.
                self._proxy.pass_all()
            cast.wait(lambda: self._was_delivered(sender), WAIT_S)
        return None

    def _was_delivered(self, sender: Worker) -> bool:
        """Return whether the large message has gone all the way, and so was not caught."""
        return self._cast.idle(sender) and (self._at_rest or not self._cast.missing())

    def _is_delivered_now(self, sender: Worker) -> bool:
        self._cast.look()
        self._cast.crew.listen(0.0)
        return self._was_delivered(sender)

    def _catch_on_the_line(self, sender: Worker) -> bool:
        cast, proxy = self._cast, self._proxy
        assert proxy is not None
        size_bytes = cast.size(LARGE_BYTES)
        proxy.hold_after("down" if self._fault.target == "consumer" else "up", size_bytes // 2)
        cast.burst([sender], 1, size_bytes)
        cast.wait(lambda: proxy.held(0.0) or self._was_delivered(sender), WAIT_S)
        return proxy.held(0.0)

    def _catch_reading(self, sender: Worker, consumers: Sequence[Worker]) -> bool:
        """Stop the reader: the server of the backend, where it has one, or else one of the consumers."""
        of_consumer = self._fault.target == "consumer" or not self.server.pids
        readers = [w.pid for w in consumers] if of_consumer else list(self.server.pids)
        size_bytes = self._cast.size(LARGE_LOCAL_BYTES)
        before = {pid: trap.bytes_read(pid) for pid in readers}
        self._cast.burst([sender], 1, size_bytes)
        self._stopped_reader = trap.stop_while_reading(
            before, size_bytes, WAIT_S, until=lambda: self._is_delivered_now(sender)
        )
        self._reading = next((w for w in consumers if w.pid == self._stopped_reader), None)
        return self._stopped_reader is not None

    def _release_held(self) -> None:
        """Release what was held in the middle of the message, except a victim of the fault."""
        if self._stopped_reader is not None:
            stopped, self._stopped_reader = self._stopped_reader, None
            victim_pauses = self._fault.effect == "stops" and self._is_victim(stopped)
            if not victim_pauses:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stopped, signal.SIGCONT)
        elif self._proxy is not None and self._fault.moment == "mid-message" and self._fault.effect != "cuts":
            self._proxy.pass_all()

    def _is_victim(self, pid: int) -> bool:
        if self._fault.target == "broker":
            return pid in self.server.pids
        return self._fault.target == "consumer" and self._reading is not None and self._reading.pid == pid


@contextlib.contextmanager
def _stopped(worker: Worker) -> Iterator[None]:
    """Stop a bystander within the block, and resume it at the end; this is no fault and in no history."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGCONT)
