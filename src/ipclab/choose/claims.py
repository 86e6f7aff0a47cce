"""The claims of the study notes that are about a backend, by name; ``ipclab claims NAME`` shows each."""

from __future__ import annotations

_MANAGER = ("manager_one_computer", "manager_data_unsafe")
_SERVERS = ("brokers_as_middleware",)
ABOUT: dict[str, tuple[str, ...]] = {
    "queue": ("queue_process_safe", "queue_any_type", "queue_pipe_and_lock"),
    "joinable-queue": ("queue_process_safe", "queue_any_type"),
    "simple-queue": ("queue_process_safe",),
    "pipe": ("pipe_two_ends", "pipe_not_process_safe"),
    "pipe-locked": ("pipe_not_process_safe", "mutex"),
    "manager-dict": _MANAGER,
    "manager-list": _MANAGER,
    "manager-queue": _MANAGER,
    "redis-list": _SERVERS,
    "redis-list-reliable": _SERVERS,
    "redis-stream": _SERVERS,
    "redis-pubsub": _SERVERS,
    "rabbitmq": _SERVERS,
    "rabbitmq-quorum": _SERVERS,
    "memcached-ticket": _SERVERS,
    "postgres-queue": _SERVERS,
}


def about(backend: str) -> list[str]:
    """Return the names of the claims that are about the backend of this name; empty for none."""
    return list(ABOUT.get(backend, ()))
