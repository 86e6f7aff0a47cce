"""Memory exhaustion: a server with next to no room, or as good as none, for the length of a block."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ipclab.brokers import probe
from ipclab.brokers.base import Broker
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.interruptions import ending_blocked

ROOM_BYTES = 2**20
"""What a Redis is left with beside what it uses already."""
_ALARM_WITHIN_S = 30.0
_POLL_S = 0.05
# Of the machine's memory; no server uses less.
_NEXT_TO_NOTHING = 0.000001


@dataclass(frozen=True, slots=True)
class Squeeze:
    """How a server is short of memory.

    ``room_bytes``: what it still takes, about, before it refuses or evicts; None where publishers are blocked
    at once. ``what``: one line for the reader.
    """

    room_bytes: int | None
    what: str


def squeezed(broker: Broker) -> AbstractContextManager[Squeeze]:
    """Leave a server little memory within the block; afterwards it has what it had before.

    Redis: ``maxmemory`` is a little above what is used, under the policy that is set. RabbitMQ: a memory
    alarm is on, and surely off again afterwards. memcached evicts from its first day on, and its limit cannot
    be moved under its items, so nothing is changed there: send more than ``room_bytes``.

    A server that is killed within the block and started again is not short of memory any more; one that is
    paused or down at the end is brought back. Raises UsageError for a server that is not ours,
    BrokerUnavailableError where it does not answer, or where the alarm does not go on or off.
    """
    if not broker.ours:
        raise UsageError(
            f"{probe.NAMES[broker.kind]} at {broker.masked_url} was not started by the lab, so its memory is "
            "left alone; choose --provider compose or native to exhaust it"
        )
    return {"redis": _redis, "rabbitmq": _rabbitmq, "memcached": _memcached}[broker.kind](broker)


@contextlib.contextmanager
def _redis(broker: Broker) -> Iterator[Squeeze]:
    with probe.redis_client(broker.url) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    try:
        with probe.redis_client(broker.url) as client:
            limit = int(client.info("memory")["used_memory"]) + ROOM_BYTES
            client.config_set("maxmemory", limit)
        yield Squeeze(
            ROOM_BYTES,
            f"maxmemory {limit} bytes, {ROOM_BYTES} above what was in use; maxmemory-policy {policy}",
        )
    finally:
        with ending_blocked():
            broker.revive()
            with probe.redis_client(broker.url) as client:
                client.config_set("maxmemory", before)


@contextlib.contextmanager
def _rabbitmq(broker: Broker) -> Iterator[Squeeze]:
    status = _rabbitmq_status(broker)
    if _alarm_is_on(status):
        raise BrokerUnavailableError("RabbitMQ is out of memory already, and blocks publishers")
    [(kind, before)] = status["vm_memory_high_watermark_setting"].items()
    try:
        _set_watermark(broker, str(_NEXT_TO_NOTHING))
        _wait_for_alarm(broker, on=True)
        yield Squeeze(None, "a memory alarm: every connection that publishes is blocked")
    finally:
        with ending_blocked():
            broker.revive()
            _set_watermark(broker, *(["absolute"] if kind == "absolute" else []), str(before))
            _wait_for_alarm(broker, on=False)


@contextlib.contextmanager
def _memcached(broker: Broker) -> Iterator[Squeeze]:
    room_bytes = int(probe.memcached_stats(broker.url)[b"limit_maxbytes"])
    try:
        yield Squeeze(room_bytes, f"{room_bytes} bytes of memory, as started: items beyond that evict others")
    finally:
        with ending_blocked():
            broker.revive()


def _rabbitmq_status(broker: Broker) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(broker.execute("rabbitmqctl", "-q", "status", "--formatter", "json"))
    return answer


def _alarm_is_on(status: dict[str, Any]) -> bool:
    return any(alarm.get("resource") == "memory" for alarm in status["alarms"])


def _set_watermark(broker: Broker, *value: str) -> None:
    broker.execute("rabbitmqctl", "-q", "set_vm_memory_high_watermark", *value)


def _wait_for_alarm(broker: Broker, *, on: bool) -> None:
    deadline = time.monotonic() + _ALARM_WITHIN_S
    while _alarm_is_on(_rabbitmq_status(broker)) != on:
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(
                f"the memory alarm of RabbitMQ is not {'on' if on else 'off'} after {_ALARM_WITHIN_S:g} s"
            )
        time.sleep(_POLL_S)
