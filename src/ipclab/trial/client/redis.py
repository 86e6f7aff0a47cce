"""Faults of redis-py: it silently sends a request again when the answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.backends.redis.client import connect
from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.redis_parts import (
    DEFAULT,
    NO_RETRY,
    carried_out,
    delete,
    drain,
    program_client,
    read_counter,
    told,
)
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import count, times

POP_S = 30
"""Seconds for which a program waits for a message."""
TOKEN = "the program's token"
Call = Callable[[Any, str, bool, ProcessLog], str]


def _run(parent: Connection, log: Path, call: Call, url: str, key: str, right: bool) -> str:
    """Be the program: connect, and call when the lab says so. Return what the call reported."""
    client = program_client(url, retries=not right)
    client.ping()
    say(parent, "connected")
    parent.recv()
    with ProcessLog(log, PROGRAM) as history:
        return call(client, key, right, history)


def _play(
    bench: Bench, call: Call, key: str, commands: tuple[str, ...], *, right: bool
) -> tuple[str, bool, int | None]:
    """Run a call whose answer is dropped. Return what the program was told, whether an answer was dropped,
    and how often the server executed the call, where that is known."""
    before = carried_out(bench, *commands)
    proxy, url = bench.proxy()
    program = bench.start("program", _run, bench.log(PROGRAM), call, url, key, right)
    program.heard()
    with bench.fault("drop-reply", "program"):
        proxy.drop_reply()
        program.tell("go")
        dropped = proxy.dropped(PATIENCE_S)
    words = str(program.result())
    after = carried_out(bench, *commands)
    return words, dropped, None if before is None or after is None else after - before


def _seen(finding: str, *, produced: bool, executed: int | None, **counts: int) -> Seen:
    if executed is not None:
        finding += f": the server carried it out {times(executed)}"
        counts["executed"] = executed
    return Seen(finding=finding, counts=counts, produced=produced)


def _incr(client: Any, key: str, right: bool, history: ProcessLog) -> str:
    history.invoke("add", 1)
    return told(history, lambda: client.incr(key))


def _increment(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("counter")
    bench.at_end(delete, bench.url, key)
    words, dropped, executed = _play(bench, _incr, key, ("incr", "incrby"), right=right)
    value = read_counter(bench, key)
    finding = f"one incr() {words}, the counter reads {value}"
    return _seen(finding, produced=dropped, executed=executed, value=value)


def _rpush(client: Any, key: str, right: bool, history: ProcessLog) -> str:
    history.invoke("send", 1)
    return told(history, lambda: client.rpush(key, 1))


def _push(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("list")
    bench.at_end(delete, bench.url, key)
    words, dropped, executed = _play(bench, _rpush, key, ("rpush",), right=right)
    copies = drain(bench, key)
    finding = f"one rpush() {words}, the list held {count(copies, 'copy', 'copies')}"
    return _seen(finding, produced=dropped, executed=executed, copies=copies)


def _set_nx(client: Any, key: str, right: bool, history: ProcessLog) -> str:
    from redis import RedisError

    history.invoke("cas", [None, TOKEN])
    try:
        got = client.set(key, TOKEN, nx=True, ex=60)
    except RedisError as error:
        history.info()
        return f"raised {type(error).__name__}, and get() then returned {_read(client, key, history)!r}"
    if got:
        history.ok()
    else:
        history.fail()
    return f"returned {got!r}"


def _lock(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("lock")
    bench.at_end(delete, bench.url, key)
    words, dropped, executed = _play(bench, _set_nx, key, ("set",), right=right)
    with bench.server() as history, connect(bench.url) as client:
        held = _read(client, key, history)
    finding = f"one set(nx=True) of a free lock {words}; the lock holds {held!r}"
    return _seen(finding, produced=dropped, executed=executed)


def _read(client: Any, key: str, history: ProcessLog) -> str | None:
    history.invoke("read")
    value = client.get(key)
    found = value.decode() if isinstance(value, bytes) else None
    history.ok(found)
    return found


def _take(client: Any, key: str, right: bool, history: ProcessLog) -> str:
    """Take one message: directly off the list, or into the program's own list, which the program reads after
    an error."""
    from redis import RedisError

    mine = f"{key}-mine"
    history.invoke("receive")
    try:
        got = client.blmove(key, mine, POP_S, "LEFT", "RIGHT") if right else client.blpop(key, POP_S)[1]
    except RedisError as error:
        history.info()
        words = f"raised {type(error).__name__}"
    else:
        history.ok(int(got))
        return f"returned message {int(got)}"
    for body in client.lrange(mine, 0, -1) if right else ():
        history.invoke("receive")
        history.ok(int(body))
        words += f", and message {int(body)} was found in the program's own list"
    return words


def _pop(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("list")
    bench.at_end(delete, bench.url, key, f"{key}-mine")
    with ProcessLog(bench.log(OTHER), OTHER) as history, connect(bench.url) as client:
        for message in (1, 2):
            history.invoke("send", message)
            client.rpush(key, message)
            history.ok()
    what = "blmove" if right else "blpop"
    words, dropped, executed = _play(bench, _take, key, (what,), right=right)
    left = drain(bench, key)
    finding = f"of messages 1 and 2 one {what}() {words}; {count(left, 'message was', 'messages were')} left"
    return _seen(finding, produced=dropped, executed=executed, left=left)


_retry = partial(pair, library="redis", needs="proxy", default=DEFAULT, right=NO_RETRY)

SCENARIOS = (
    *_retry(
        "retry-increment",
        _increment,
        backend="redis",
        model="counter",
        asked="one incr(), whose answer is lost",
        says="2, as if nothing had happened",
        has="2: it was executed twice",
    ),
    *_retry(
        "retry-push",
        _push,
        backend="redis-list",
        model="delivery",
        guarantee="exactly-once",
        asked="one rpush(), whose answer is lost",
        says="pushed: the list has 2",
        has="the message twice",
    ),
    *_retry(
        "retry-lock",
        _lock,
        backend="redis",
        model="register",
        asked="one set(nx=True) for a free lock, whose answer is lost",
        says="None: another program has it",
        has="the lock, with this program's token",
    ),
    *pair(
        "retry-pop",
        _pop,
        library="redis",
        needs="proxy",
        backend="redis-list",
        model="delivery",
        guarantee="exactly-once",
        asked="one blpop() of two messages, whose answer is lost",
        says="the second message",
        has="neither: the first was popped, and its answer was lost",
        default=DEFAULT,
        right=f"{NO_RETRY}, blmove() to a list of the program's own",
    ),
)
