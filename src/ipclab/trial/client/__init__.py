"""Scenarios in which a client library errs by itself, told apart from what its server does.

One file a library, or a part of Python's own; ``scenario`` says what a scenario is, ``bench`` what it works
with. Every scenario of a library as it comes has one beside it in which the same is set right.
"""

from __future__ import annotations

from ipclab.trial.client import (
    barriers,
    events,
    executors,
    locks,
    manager,
    memcached,
    memory,
    pipes,
    pool_tasks,
    pools,
    processes,
    queue,
    queue_ends,
    rabbitmq,
    rabbitmq_idle,
    redis,
    redis_pause,
    redis_pool,
    redis_transaction,
    starting,
)
from ipclab.trial.client.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for library in (
        redis,
        redis_pause,
        redis_transaction,
        redis_pool,
        memcached,
        rabbitmq,
        rabbitmq_idle,
        queue,
        queue_ends,
        processes,
        locks,
        events,
        barriers,
        pools,
        pool_tasks,
        executors,
        pipes,
        manager,
        memory,
        starting,
    )
    for scenario in library.SCENARIOS
}
"""By name, each default before its fix."""

__all__ = ["SCENARIOS", "Scenario"]
