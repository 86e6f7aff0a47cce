"""Which messages overtake which: several producers and consumers on one channel, and no fault.

``stress``: all producers send at once, as fast as they can. ``forced``: they take turns, a large message of
one and a small one of the other. The second send begins after the first was confirmed, so any other order of
arrival is overtaking, and a channel that only buffers has every chance to do so.

Two orders are checked separately: each producer's own order, which channels declare, and the real-time order
over all producers (a queue's linearizability), which none declares. The file of the history is that of a
delivery; ``ipclab check --model queue`` checks the second order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from ipclab.backends.declared import server_pids
from ipclab.backends.registry import channel_class
from ipclab.errors import IpclabError
from ipclab.faults.server import Server
from ipclab.trial import expiry, judge, serving
from ipclab.trial.cast import Cast, set_up, tear_down
from ipclab.trial.primitive import adapters, name_primitive
from ipclab.trial.processes import Worker
from ipclab.trial.record import Safety
from ipclab.trial.safety import Played, Stage
from ipclab.trial.worker import history_path

SCENARIOS = ("stress", "forced")
STRESSED = 300
"""Messages of each producer."""
TURNS = 10
SMALL_BYTES = 64
LARGE_BYTES = 16 << 20
"""Size of the message that is to be overtaken, or the largest that the channel carries."""
WAIT_S = 30.0


def play(stage: Stage) -> Played:
    """Play the scenario of the trial. Raise what setting up the backend raises."""
    spec = stage.spec
    site = replace(stage.site, producers=spec.producers + 1)
    channel = channel_class(spec.backend)(site, **spec.backend.options)
    with contextlib.ExitStack() as stack:
        stack.callback(tear_down, channel)
        set_up(channel)
        server = Server(stage.broker, server_pids(channel))
        cast = stack.enter_context(Cast(spec, channel, stage.folder, server.processes))
        producers = [cast.start("producer", i) for i in range(spec.producers)]
        consumers = [cast.start("consumer", i) for i in range(spec.consumers)]
        if not cast.ready([*producers, *consumers]):
            failures = [w.failure for w in cast.crew.workers if w.failure]
            raise IpclabError(f"the workers did not connect: {'; '.join(failures) or 'time limit reached'}")
        if spec.scenario == "forced":
            _take_turns(cast, producers)
        else:
            cast.burst(producers, STRESSED, cast.size(SMALL_BYTES))
            cast.outlast(lambda: cast.done(producers), WAIT_S)
        stuck = [w for w in producers if not cast.idle(w)]
        stuck += cast.dismiss([w for w in producers if cast.idle(w)], spec.grace_s)
        cast.drain(spec.drain_s + channel.redelivers_after_s, WAIT_S)
        stuck += cast.stop(consumers, spec.grace_s, place=spec.producers)
        slow = cast.slow
        stacks = cast.stacks(stuck)
        cast.crew.end()
        safety = _judge(stage, cast, stacks, slow)
        declared = serving.under(channel.guarantees, stage.broker).described()
        played = Played(safety=safety, stuck=stacks, options=dict(channel.chosen), declared=declared)
        stage.found(played)
    return played


def _take_turns(cast: Cast, producers: list[Worker]) -> None:
    """End each turn before the next one begins, so that a message can only be overtaken in its own turn."""
    large_bytes, small_bytes = cast.size(LARGE_BYTES), cast.size(SMALL_BYTES)
    for _ in range(TURNS):
        for producer, size_bytes in zip(producers, (large_bytes, small_bytes), strict=False):
            cast.burst([producer], 1, size_bytes)
            cast.outlast(lambda: cast.done(producers), WAIT_S)
        cast.outlast(lambda: not cast.missing(), WAIT_S)


def _judge(stage: Stage, cast: Cast, stacks: dict[str, str], slow: frozenset[str]) -> Safety:
    guarantees = serving.under(cast.channel.guarantees, stage.broker)
    # Where nobody was left to receive, missing messages may still be in the channel.
    drained = not stacks and any(w.done for w in cast.crew.by_role("consumer"))
    head = judge.header(stage, guarantees, "delivery", drained=drained)
    history = judge.keep(stage, head, [history_path(stage.folder, w.name) for w in cast.crew.workers])
    own = adapters(type(cast.channel))
    in_real_time = judge.strict(history, "queue", stage.spec.grace_s)
    counts = dict(judge.strict(history, "delivery", stage.spec.grace_s).counts)
    if not drained:
        counts |= {"undelivered": counts["lost"], "lost": 0, "lost_excused": 0}
    drops = stage.losses.drops(cast.channel.guarantees)
    first_ns = expiry.first_ns(cast.began_ns)
    broken = judge.promise(
        counts,
        guarantees,
        "overload",
        fault=False,
        undelivered=not drained,
        drops=drops,
        expired=expiry.explains(guarantees, cast.channel.expires_after_s, first_ns),
    )
    overtaken = in_real_time.anomalies.get("reordered", 0)
    gave_up = {w.name: w.gave_up for w in cast.crew.workers if w.failure and w.name not in stacks}
    # No fault was asked for: a worker that gave up did not play the scenario, and unsent messages keep no
    # order.
    known = drained and not gave_up and counts["attempted"] > 0
    return Safety(
        model="queue",
        verdict=judge.word(broken, known=known),
        broken=broken,
        anomalies=dict(in_real_time.anomalies),
        counts=counts,
        shown=overtaken > 0,
        finding=_finding(counts, overtaken),
        hung={name: name_primitive(stack, own) for name, stack in stacks.items() if name not in slow},
        gave_up=gave_up | judge.too_slow(stacks, slow, own),
        counterexample=judge.counterexample(history, in_real_time),
        history=stage.history_name,
    )


def _finding(counts: Mapping[str, int], overtaken: int) -> str:
    if not counts["attempted"]:
        return "not one message was sent"
    return f"{overtaken} of {counts['confirmed']} messages were overtaken" if overtaken else ""
