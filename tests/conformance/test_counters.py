"""What every counter promises under each of its disciplines, and that those without the promise need it."""

from __future__ import annotations

import pytest

from ipclab.backends.base import Counter
from ipclab.backends.registry import Variant
from tests.conformance.conftest import Bench, connected
from tests.support import ends
from tests.support.ends import Remote

pytestmark = pytest.mark.timeout(60, method="signal")

PROCESSES = 4
EACH = 50
STRESS_ROUNDS = 20
STRESS_EACH = 500


def increment_at_once(clients: list[Remote], times: int) -> None:
    for client in clients:
        client.begin(ends.increment, times)
    for client in clients:
        client.result()


def gated_clients(bench: Bench, counter: Counter) -> list[Remote]:
    gate = counter.site.context.Barrier(2)
    return connected([bench.start(counter, ends.held_counter_client, index, gate) for index in range(2)])


def test_a_safe_counter_loses_no_increment_of_four_processes(bench: Bench, safe_counter: Variant) -> None:
    clients = bench.clients(bench.counter(safe_counter, PROCESSES))

    increment_at_once(clients, EACH)

    assert [client.call(ends.read) for client in clients] == [PROCESSES * EACH] * PROCESSES


def test_an_unsafe_counter_loses_an_increment_when_two_processes_read_before_either_writes(
    bench: Bench, gated_counter: Variant
) -> None:
    counter = bench.counter(gated_counter, 2)

    increment_at_once(gated_clients(bench, counter), 1)

    assert bench.final_value(counter) == 1


def test_an_unsafe_counter_of_another_package_loses_an_increment_under_load(
    bench: Bench, foreign_unsafe_counter: Variant
) -> None:
    for _ in range(STRESS_ROUNDS):
        clients = bench.clients(bench.counter(foreign_unsafe_counter, PROCESSES))
        increment_at_once(clients, STRESS_EACH)
        if clients[0].call(ends.read) < PROCESSES * STRESS_EACH:
            return
    pytest.skip(
        f"{foreign_unsafe_counter} lost nothing, which proves nothing: its race cannot be forced here"
    )


def test_a_counter_that_compares_loses_nothing_when_two_processes_read_before_either_writes(
    bench: Bench, comparing_counter: Variant
) -> None:
    counter = bench.counter(comparing_counter, 2)

    increment_at_once(gated_clients(bench, counter), 1)

    assert bench.final_value(counter) == 2


def test_a_new_counter_is_0_and_counts_by_1(bench: Bench, counter: Variant) -> None:
    (client,) = bench.clients(bench.counter(counter))

    seen = [client.call(ends.read)]
    client.call(ends.increment, 1)
    seen.append(client.call(ends.read))

    assert seen == [0, 1]


def test_a_confirmed_increment_outlives_the_client_that_made_it(
    bench: Bench, safe_unowned_counter: Variant
) -> None:
    first, second = bench.clients(bench.counter(safe_unowned_counter, 2))
    first.call(ends.increment, 5)

    first.kill()

    assert second.call(ends.read) == 5


def test_the_owner_of_a_counter_ends_when_it_is_told_to(bench: Bench, owned_counter: Variant) -> None:
    counter = bench.counter(owned_counter, 2)
    owner = bench.start(counter, ends.counter_owner)
    clients = connected([bench.start(counter, ends.counter_client, index) for index in range(2)])
    increment_at_once(clients, 5)

    clients[1].call(ends.stop_owner)

    owner.result()
    owner.leave()
    assert owner.exit_code == 0


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_counter_travels_to_workers_of_every_start_method(
    bench: Bench, some_counter: Variant, start_method: str
) -> None:
    made = bench.counter(some_counter, 2, start_method=start_method)  # type: ignore[arg-type]
    clients = bench.clients(made)

    for client in clients:
        client.call(ends.increment, 5)

    assert clients[0].call(ends.read) == 10
