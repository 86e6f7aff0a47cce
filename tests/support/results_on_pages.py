"""Results of whole runs for tests of the page, made by hand: good ones, and one for each kind of trouble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from ipclab.results.result import Result
from tests.support.safety import AT_LEAST_ONCE, TIMELINE, client, crash, order

LOST = "lost 44 confirmed messages"
SHAKE = (0.0, 0.02, -0.02, 0.01)


def comparison(make: Any) -> Result:
    """Make a run with every family of backends, batches, counters and something unavailable."""
    durable = {"guarantees": make.durable, "cost": make.cost(broker_cpu_s=0.25, wanted=3)}
    living = durable | {"guarantees": make.durable | {"may_lose": ["broker crash"], "durability": "none"}}
    ways: tuple[tuple[str, float, int, dict[str, Any]], ...] = (
        ("pipe", 187_103, 8_206, {}),
        ("queue", 62_280, 37_619, {"guarantees": make.at_most_once | {"confirm": "buffered"}}),
        ("manager-queue", 9_100, 410_000, {}),
        ("redis-stream", 12_345, 150_000, living),
        ("redis-stream", 123_456, 0, living | {"spec": {"window": 100}}),
        ("rabbitmq:ack=manual,confirm=publisher", 4_321, 901_234, durable),
        ("memcached-ticket", 11_000, 400_000, {}),
        ("of-somebody-else", 1_000, 2_000_000, {}),
    )
    trials = []
    for repeat, shake in enumerate(SHAKE):
        for backend, rate, p50_ns, fields in ways:
            trials.append(make.stream(backend, rate * (1 + shake), repeat=repeat, **fields))
            if p50_ns:
                samples = range(p50_ns, p50_ns + 3000)
                trials.append(make.paced(backend, samples, repeat=repeat, **fields))
        trials.append(make.counter("value:discipline=naive", 9e5, safe=False, lost=repeat, repeat=repeat))
        trials.append(make.counter("value:discipline=locked", 4e5, safe=True, repeat=repeat))
    gone = [make.unavailable("redis-list", "no redis was found: apt-get install redis-server")]
    return make.result(trials, unavailable=gone)  # type: ignore[no-any-return]


def faults(make: Any) -> Result:
    """Make a fault matrix with a loss, a hang, a repetition, a breach and a refusal; orders and clients."""
    stacks = {"consumer-1": "queues.py:103 get\nsynchronize.py:95 __enter__"}
    hung = crash("queue", "kill consumer, idle", hung={"consumer-1": "Queue.get (read lock)"})
    twice = {"duplicated": 3}
    trials = [
        crash("redis-list", history="histories/0000.jsonl.gz", counts={"lost": 12}, counterexample=TIMELINE),
        crash("redis-list", repeat=1, history="histories/0001.jsonl.gz"),
        crash("redis-stream", counts=twice, declared=AT_LEAST_ONCE, history="histories/0002.jsonl.gz"),
        msgspec.structs.replace(hung, stuck=stacks),
        crash("redis-stream", "kill broker, busy", declared=AT_LEAST_ONCE, broken=[LOST]),
        crash("redis-list", "restart broker, busy", refused="the server is not the lab's own"),
        order("queue", anomalies={"reordered": 2}, counterexample=TIMELINE),
        client("retries", shown=True, finding="one incr() became 2"),
        client("retries-set-right", shown=False, finding="one incr() was one"),
    ]  # fmt: skip
    return make.result(trials, experiment="crash", question="what is lost?")  # type: ignore[no-any-return]


def _hung(make: Any) -> Result:
    trials = [make.stream("pipe", 1000.0), make.hung("queue", stuck={"consumer-0": "queues.py:103 get"})]
    return make.result(trials)  # type: ignore[no-any-return]


def _withheld(make: Any) -> Result:
    few = np.arange(1000, 1300)
    trials = [
        t for i in range(2) for t in (make.stream("pipe", 1e5, repeat=i), make.paced("pipe", few, repeat=i))
    ]
    return make.result(trials)  # type: ignore[no-any-return]


def _unavailable(make: Any) -> Result:
    gone = [make.unavailable("redis-stream", "no redis was found: apt-get install redis-server")]
    return make.result([make.stream("pipe", 1000.0)], unavailable=gone)  # type: ignore[no-any-return]


def _partial(make: Any) -> Result:
    return make.result([make.stream("pipe", 1000.0)], complete=False)  # type: ignore[no-any-return]


def _busy(make: Any) -> Result:
    result: Result = make.result([make.stream("pipe", 1000.0)])
    here = msgspec.structs.replace(result.environment, load_1min=3.5)
    return msgspec.structs.replace(result, environment=here)


def _broken(make: Any) -> Result:
    trials = [make.stream("pipe", 1000.0), make.stream("queue", 900.0, ledger=make.bad_ledger())]
    return make.result(trials)  # type: ignore[no-any-return]


TROUBLES: dict[str, Callable[[Any], Result]] = {
    "hung": _hung,
    "withheld": _withheld,
    "unavailable": _unavailable,
    "partial": _partial,
    "busy": _busy,
    "broken": _broken,
}
"""A small result for each kind of trouble that a page must show."""
