"""Programs that use a client as the lab measured it: one file for each backend, and how it is shown.

Each file is a whole program. Its constants in capitals are the settings; ``text`` puts those of the chosen
mode in their place. The programs use no part of ipclab. A test runs each of them against a real server.
"""

from __future__ import annotations

import re
from pathlib import Path

from ipclab.backends.base import OptionValue
from ipclab.backends.registry import Variant, channel_class

FILES = {
    "manager-dict": "manager_dict",
    "manager-list": "manager_list",
    "manager-queue": "manager_queue",
    "queue": "queue",
    "joinable-queue": "joinable_queue",
    "simple-queue": "simple_queue",
    "pipe": "pipe",
    "pipe-locked": "pipe_locked",
    "socketpair": "socketpair",
    "shm-ring": "shm_ring",
    "listener-unix": "listener_unix",
    "listener-tcp": "listener_tcp",
    "sqlite": "sqlite",
    "redis-list": "redis_list",
    "redis-list-reliable": "redis_list_reliable",
    "redis-stream": "redis_stream",
    "rabbitmq": "rabbitmq",
    "rabbitmq-quorum": "rabbitmq",
    "memcached-ticket": "memcached_ticket",
    "postgres-queue": "postgres_queue",
    "nats": "nats",
    "nats-jetstream": "nats_jetstream",
    "zmq": "zmq",
}
"""The file of each backend. One that sends each message to every consumer carries no jobs, and has none."""


def text(variant: Variant) -> str | None:
    """Return the program for this mode; None for a backend that is not the lab's or carries no jobs."""
    name = FILES.get(variant.name)
    if name is None:
        return None
    program = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    for setting, value in settings(variant).items():
        program = re.sub(rf"(?m)^{setting.upper()} = .*$", f"{setting.upper()} = {value!r}", program)
    return program


def settings(variant: Variant) -> dict[str, OptionValue]:
    """Return every setting of a mode, those that were not set included."""
    options = channel_class(variant).options
    found = {option.name: variant.options.get(option.name, option.default) for option in options}
    return {**found, "queue_type": "quorum"} if variant.name == "rabbitmq-quorum" else found
