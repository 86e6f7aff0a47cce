"""A comparison with rows of every kind, good and bad."""

from typing import Any

import pytest

SHAKE = (0.0, 0.02, -0.02, 0.01)


def repeats(make: Any, backend: str, rate: float, p50_ns: int, **fields: Any) -> list[Any]:
    found = []
    for i, shake in enumerate(SHAKE):
        found.append(make.stream(backend, rate * (1 + shake), repeat=i, **fields))
        samples = range(p50_ns, p50_ns + 3000)
        found.append(
            make.paced(backend, samples, repeat=i, **{k: v for k, v in fields.items() if k != "ledger"})
        )
    return found


@pytest.fixture
def comparison(make):
    durable = {"guarantees": make.durable, "cost": make.cost(broker_cpu_s=0.25, wanted=3)}
    living = make.durable | {"may_lose": ["broker crash"], "durability": "none"}
    buffered = {"guarantees": make.at_most_once | {"confirm": "buffered"}}
    lost = make.ledger(
        attempted=99, confirmed=99, owed=99, received=96, lost=3, broken=["lost 3 confirmed messages"]
    )
    trials = [
        *repeats(make, "pipe", 187_103, 8_206),
        *repeats(make, "queue", 62_280, 37_619, **buffered),
        *repeats(make, "simple-queue", 250_000, 13_801, ledger=lost),
        *repeats(
            make, "rabbitmq:ack=manual,confirm=publisher,delivery=persistent,prefetch=100", 4_321, 901_234,
            spec={"window": 100}, **durable,
        ),
        *repeats(make, "redis-stream", 12_345, 150_000, **(durable | {"guarantees": living})),
        make.hung("manager-queue"),
        *(make.counter("value:discipline=naive", 900_000, safe=False, lost=i, repeat=i) for i in range(4)),
        *(make.counter("value:discipline=locked", 450_000, safe=True, repeat=i) for i in range(4)),
    ]  # fmt: skip
    return make.result(trials, unavailable=[make.unavailable("memcached-ticket", "no memcached was found")])
