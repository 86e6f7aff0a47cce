"""Scenarios in which a client library fails by itself, separated from what its server does.

One file for each library, or part of Python's own; ``scenario`` defines a scenario, ``bench`` has its tools.
Every scenario of a library with its defaults has a second one beside it, in which the fault is fixed.
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
"""The scenarios by name, each default before its fix."""

__all__ = ["SCENARIOS", "Scenario"]
