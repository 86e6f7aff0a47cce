"""The families of backends, and the colour and shape that each has in every picture and table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ipclab.host.texts import mark

Shape = Literal["circle", "diamond", "square", "up", "down", "cross", "ring"]


@dataclass(frozen=True, slots=True)
class Family:
    """``name`` is also the CSS class; ``light`` and ``dark`` are its colours on a light and a dark ground;
    ``sign`` is the character that stands for its shape in text."""

    name: str
    title: str
    light: str
    dark: str
    shape: Shape
    sign: str


LOCAL = Family("local", mark("pipes and queues"), "#3419F7", "#5B82F0", "circle", "●")
MEMORY = Family("memory", mark("shared memory"), "#1C9DBC", "#62E5FD", "diamond", "◆")
MANAGER = Family("manager", "Manager", "#2D593B", "#A8D286", "square", "■")
REDIS = Family("redis", "Redis", "#CB7462", "#E8483F", "up", "▲")
RABBITMQ = Family("rabbitmq", "RabbitMQ", "#967013", "#E09A1A", "down", "▼")
MEMCACHED = Family("memcached", "memcached", "#713979", "#C794EC", "cross", "✚")
OTHER = Family("other", mark("others"), "#6B7280", "#8B949E", "ring", "○")
FAMILIES = (LOCAL, MEMORY, MANAGER, REDIS, RABBITMQ, MEMCACHED, OTHER)

_BY_NAME = {
    "pipe": LOCAL,
    "pipe-locked": LOCAL,
    "queue": LOCAL,
    "simple-queue": LOCAL,
    "joinable-queue": LOCAL,
    "socketpair": LOCAL,
    "listener-unix": LOCAL,
    "listener-tcp": LOCAL,
    "shm-ring": MEMORY,
    "shm-ring-naive": MEMORY,
    "value": MEMORY,
}
_BY_FIRST_PART = {family.name: family for family in (MANAGER, REDIS, RABBITMQ, MEMCACHED)}


def of(backend: str) -> Family:
    """Return the family of a backend by its name, without options; ``OTHER`` for one of another package."""
    return _BY_NAME.get(backend) or _BY_FIRST_PART.get(backend.partition("-")[0], OTHER)


def present(backends: Iterable[str]) -> list[Family]:
    """Return the families of some backends, in the order of ``FAMILIES``."""
    found = {of(backend) for backend in backends}
    return [family for family in FAMILIES if family in found]
