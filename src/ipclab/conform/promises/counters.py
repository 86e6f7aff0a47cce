"""What every counter promises under each of its disciplines, and that those without the promise need it."""

from __future__ import annotations

from functools import partial

from ipclab.backends.base import Counter
from ipclab.backends.registry import Variant
from ipclab.conform import ends
from ipclab.conform.bench import Bench, connected
from ipclab.conform.ends import Remote
from ipclab.conform.promise import Promise, Undecided, require
from ipclab.conform.promises import which
from ipclab.host.start_methods import StartMethod

PROCESSES = 4
EACH = 50
STRESS_ROUNDS = 20
STRESS_EACH = 500


def _increment_at_once(clients: list[Remote], times: int) -> None:
    for client in clients:
        client.begin(ends.increment, times)
    for client in clients:
        client.result()


def _gated_clients(bench: Bench, counter: Counter) -> list[Remote]:
    gate = counter.site.context.Barrier(2)
    return connected([bench.start(counter, ends.held_counter_client, index, gate) for index in range(2)])


def _loses_nothing(bench: Bench, variant: Variant) -> None:
    clients = bench.clients(bench.counter(variant, PROCESSES))
    _increment_at_once(clients, EACH)
    seen = [client.call(ends.read) for client in clients]
    require(seen == [PROCESSES * EACH] * PROCESSES, f"after {PROCESSES * EACH} increments it is {seen}")


def _forced_loss(bench: Bench, variant: Variant) -> None:
    counter = bench.counter(variant, 2)
    _increment_at_once(_gated_clients(bench, counter), 1)
    value = bench.final_value(counter)
    require(value == 1, f"after 2 increments that read at the same time it is {value}")


def _loss_under_load(bench: Bench, variant: Variant) -> None:
    for _ in range(STRESS_ROUNDS):
        clients = bench.clients(bench.counter(variant, PROCESSES))
        _increment_at_once(clients, STRESS_EACH)
        if clients[0].call(ends.read) < PROCESSES * STRESS_EACH:
            return
    raise Undecided("it lost nothing, which proves nothing: its race cannot be forced here")


def _compares(bench: Bench, variant: Variant) -> None:
    counter = bench.counter(variant, 2)
    _increment_at_once(_gated_clients(bench, counter), 1)
    value = bench.final_value(counter)
    require(value == 2, f"after 2 increments that read at the same time it is {value}")


def _from_0_by_1(bench: Bench, variant: Variant) -> None:
    (client,) = bench.clients(bench.counter(variant))
    seen = [client.call(ends.read)]
    client.call(ends.increment, 1)
    seen.append(client.call(ends.read))
    require(seen == [0, 1], f"it reads {seen[0]} at first and {seen[1]} after one increment")


def _outlives_its_client(bench: Bench, variant: Variant) -> None:
    first, second = bench.clients(bench.counter(variant, 2))
    first.call(ends.increment, 5)
    first.kill()
    value = second.call(ends.read)
    require(value == 5, f"after 5 confirmed increments of a client that was killed it is {value}")


def _owner_ends(bench: Bench, variant: Variant) -> None:
    counter = bench.counter(variant, 2)
    owner = bench.start(counter, ends.counter_owner)
    clients = connected([bench.start(counter, ends.counter_client, index) for index in range(2)])
    _increment_at_once(clients, 5)
    clients[1].call(ends.stop_owner)
    owner.result()
    owner.leave()


def _travel(start_method: StartMethod, bench: Bench, variant: Variant) -> None:
    clients = bench.clients(bench.counter(variant, 2, start_method=start_method))
    for client in clients:
        client.call(ends.increment, 5)
    value = clients[0].call(ends.read)
    require(value == 10, f"after 10 increments it is {value}")


PROMISES = (
    Promise(
        "increments",
        "no increment of four processes is lost under a safe discipline",
        "counter",
        which.safe,
        _loses_nothing,
    ),
    Promise(
        "forced-loss",
        "an unsafe discipline loses an increment when two processes read before either writes",
        "counter",
        which.gated,
        _forced_loss,
    ),
    Promise(
        "loss-under-load",
        "a discipline that declares itself unsafe loses an increment under load",
        "counter",
        which.foreign_unsafe,
        _loss_under_load,
    ),
    Promise(
        "compares",
        "a comparing discipline loses nothing when two processes read before either writes",
        "counter",
        which.comparing,
        _compares,
    ),
    Promise("counts", "a new counter is 0 and counts by 1", "counter", which.every, _from_0_by_1),
    Promise(
        "outlives",
        "a confirmed increment outlives its client",
        "counter",
        which.safe_unowned,
        _outlives_its_client,
    ),
    Promise("owner", "the owner of a counter ends when it is told to", "counter", which.owned, _owner_ends),
    Promise(
        "counter-spawn",
        "a counter works in spawned workers",
        "counter",
        which.every,
        partial(_travel, "spawn"),
        once=True,
    ),
    Promise(
        "counter-forkserver",
        "a counter works in workers of a fork server",
        "counter",
        which.every,
        partial(_travel, "forkserver"),
        once=True,
    ),
)
