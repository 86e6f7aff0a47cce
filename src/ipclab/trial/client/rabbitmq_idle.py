"""Faults of pika in programs that are busy elsewhere: no heartbeat, and no acknowledgement in time."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from ipclab.backends.rabbitmq.connection import connect, delete_queue, parameters
from ipclab.errors import ChannelError
from ipclab.history.log import ProcessLog
from ipclab.host.interruptions import ending_blocked
from ipclab.trial.client.bench import PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.rabbitmq import declare, drain, messages
from ipclab.trial.client.scenario import Seen, pair

HEARTBEAT_S = 1
PUBLISHES = 3
LIMIT_MS, TICK_MS = 1000, 200
"""Milliseconds within which a delivery must be acknowledged, and between two checks of the server."""
NO_LIMIT_MS = 3_600_000
_SETTINGS = ("consumer_timeout", "channel_tick_interval")
_WAIT_S = 0.1


def _connect_with_heartbeat(url: str) -> Any:
    import pika

    chosen = parameters(url)
    chosen.heartbeat = HEARTBEAT_S
    return pika.BlockingConnection(chosen)


def _established() -> set[int]:
    """Return the local ports of this process's connections that the other side has not closed."""
    found = psutil.Process().net_connections(kind="tcp")
    return {one.laddr.port for one in found if one.status == psutil.CONN_ESTABLISHED}


def _publish_after_a_while(parent: Connection, log: Path, url: str, key: str, right: bool) -> str:
    """Stay busy until the server has closed a silent connection, then publish.

    With ``right`` another connection is the silent one, and this one is served meanwhile.
    """
    import pika.exceptions

    connection = _connect_with_heartbeat(url)
    channel = connection.channel()
    silent = _connect_with_heartbeat(url) if right else connection
    before = _established()
    deadline = time.monotonic() + PATIENCE_S
    while _established() >= before:
        if time.monotonic() > deadline:
            raise ChannelError("the server did not close a silent connection")
        if right:
            connection.process_data_events(_WAIT_S)
        else:
            time.sleep(_WAIT_S)
    returned, words = 0, ""
    with ProcessLog(log, PROGRAM) as history:
        for number in range(1, PUBLISHES + 1):
            history.invoke("send", number)
            try:
                channel.basic_publish("", key, str(number).encode())
            except pika.exceptions.AMQPError as error:
                history.info()
                words = (
                    f", then one raised {type(error).__name__}"
                    if returned
                    else f"; raised {type(error).__name__}"
                )
                break
            history.ok()
            returned += 1
    for one in {connection, silent}:
        with contextlib.suppress(pika.exceptions.AMQPError):
            one.close()
    return f"{returned} of {PUBLISHES} publishes returned{words}"


def _heartbeat(bench: Bench, *, right: bool) -> Seen:
    queue = bench.name("messages")
    bench.at_end(delete_queue, bench.url, queue)
    declare(bench, queue)
    program = bench.start("program", _publish_after_a_while, bench.log(PROGRAM), bench.url, queue, right)
    words = program.result()
    found = drain(bench, queue)
    finding = f"after the program had been busy for more than two heartbeats, {words}; "
    finding += f"the queue holds {messages(found)}"
    return Seen(finding=finding, counts={"found": found}, errs=found < PUBLISHES)


def _hold(parent: Connection, log: Path, process: int, url: str, queue: str) -> str:
    """Take a message and work until told to acknowledge it; return what the program was told then."""
    import pika.exceptions

    with ProcessLog(log, process) as history:
        connection = connect(url)
        channel = connection.channel()
        history.invoke("receive")
        method, _, body = next(channel.consume(queue))
        history.ok(int(body))
        say(parent, "has it")
        try:
            while not parent.poll():
                connection.process_data_events(_WAIT_S)
                if channel.is_closed:
                    # This call raises what the server said.
                    channel.basic_ack(method.delivery_tag)
            channel.basic_ack(method.delivery_tag)
            connection.process_data_events(0)
        except pika.exceptions.AMQPError as error:
            return f"raised {type(error).__name__}"
        connection.close()
    return "was taken"


@contextlib.contextmanager
def _limited(bench: Bench) -> Iterator[None]:
    """Make the server look for late acknowledgements within the block, and restore its settings."""
    # One command, because each one starts an Erlang VM, which takes seconds.
    asked = ", ".join(f"application:get_env(rabbit, {name})" for name in _SETTINGS)
    told = _evaluate(bench, f"Before = [{asked}], {_calls(LIMIT_MS, TICK_MS)}, Before.")
    before = [int(found) if found else None for found in re.findall(r"\{ok,\s*(\d+)\}|undefined", told)]
    try:
        if len(before) != len(_SETTINGS):
            raise ChannelError(f"RabbitMQ does not tell its settings: {told}")
        yield
    finally:
        with ending_blocked():
            _set(bench, *(before if len(before) == len(_SETTINGS) else (None, None)))


def _set(bench: Bench, timeout_ms: int | None, tick_ms: int | None) -> None:
    """Set the limits that a channel adopts when it is opened; None restores the server's own."""
    _evaluate(bench, f"{_calls(timeout_ms, tick_ms)}.")


def _calls(*values: int | None) -> str:
    calls = [
        f"application:unset_env(rabbit, {name})"
        if value is None
        else f"application:set_env(rabbit, {name}, {value})"
        for name, value in zip(_SETTINGS, values, strict=True)
    ]
    return ", ".join(calls)


def _evaluate(bench: Bench, code: str) -> str:
    assert bench.broker is not None
    return bench.broker.execute("rabbitmqctl", "-q", "eval", code)


def _ack_late(bench: Bench, *, right: bool) -> Seen:
    queue, others = bench.name("messages"), bench.name("others")
    for name in (queue, others):
        bench.at_end(delete_queue, bench.url, name)
        declare(bench, name)
    with _limited(bench), connect(bench.url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        with bench.server() as history:
            history.invoke("send", 1)
            channel.basic_publish("", queue, b"1")
            history.ok()
        channel.basic_publish("", others, b"2")
        # Another consumer, whose channel has the limit in any case, shows when the limit has passed.
        limited = connect(bench.url)
        bench.at_end(_close, limited)
        taken = limited.channel()
        next(taken.consume(others))
        if right:
            _set(bench, NO_LIMIT_MS, TICK_MS)
        program = bench.start("program", _hold, bench.log(PROGRAM), PROGRAM, bench.url, queue)
        program.heard()
        bench.until(lambda: _has_closed(limited, taken), "the server to close a channel")
        if right:
            program.tell("acknowledge")
        words = program.result()
    left = drain(bench, queue)
    finding = f"a message was worked on for longer than consumer_timeout, its acknowledgement {words}; "
    return Seen(finding=finding + f"{messages(left)} came again", counts={"again": left})


def _has_closed(connection: Any, channel: Any) -> bool:
    connection.process_data_events(0)
    return bool(channel.is_closed)


def _close(connection: Any) -> None:
    if connection.is_open:
        connection.close()


_pair = partial(pair, backend="rabbitmq", library="pika", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "heartbeat-missed",
        _heartbeat,
        asked=f"{PUBLISHES} publishes by a program that was busy for more than two heartbeats",
        says="returned, or StreamLostError: nothing before the publish",
        has="closed the connection before, and none of the messages",
        default="basic_publish(exchange, key, body)",
        right="connection.process_data_events() while it is busy, as often as every heartbeat",
    ),
    *_pair(
        "acknowledged-late",
        _ack_late,
        needs="settings",
        asked="the acknowledgement of a message that was worked on for longer than consumer_timeout",
        says="ChannelWrongStateError: the channel is closed",
        has="closed the channel, and redelivered the message to another consumer",
        default="basic_ack() after the work",
        right="a consumer_timeout above the longest work",
    ),
)
