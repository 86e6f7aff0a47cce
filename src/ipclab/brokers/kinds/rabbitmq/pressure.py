"""Puts RabbitMQ short of memory: a memory alarm blocks every connection that publishes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import Squeeze
from ipclab.errors import BrokerUnavailableError
from ipclab.host.interruptions import ending_blocked

_ALARM_WITHIN_S = 30.0
_POLL_S = 0.05
# Share of the machine's memory; every server uses more.
_NEXT_TO_NOTHING = 0.000001


@contextlib.contextmanager
def squeezed(broker: Broker) -> Iterator[Squeeze]:
    """Turn a memory alarm on, and always off again afterwards.

    Raise BrokerUnavailableError where one is already on, or where it does not change in time.
    """
    status = _status(broker)
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


def _status(broker: Broker) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(broker.execute("rabbitmqctl", "-q", "status", "--formatter", "json"))
    return answer


def _alarm_is_on(status: dict[str, Any]) -> bool:
    return any(alarm.get("resource") == "memory" for alarm in status["alarms"])


def _set_watermark(broker: Broker, *value: str) -> None:
    broker.execute("rabbitmqctl", "-q", "set_vm_memory_high_watermark", *value)


def _wait_for_alarm(broker: Broker, *, on: bool) -> None:
    deadline = time.monotonic() + _ALARM_WITHIN_S
    while _alarm_is_on(_status(broker)) != on:
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(
                f"the memory alarm of RabbitMQ is not {'on' if on else 'off'} after {_ALARM_WITHIN_S:g} s"
            )
        time.sleep(_POLL_S)
