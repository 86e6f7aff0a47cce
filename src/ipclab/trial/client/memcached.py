"""Faults of pymemcache: it does not wait for answers and then invents them, or it waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.backends.memcached.client import connect, make
from ipclab.history.log import ProcessLog
from ipclab.host.text import line_of
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import times

BIG_BYTES = 2 * 1024 * 1024
"""Twice the largest value of a server with its defaults."""
BIG = f"{BIG_BYTES} bytes"
TIMEOUT_S = 1.0
HANG_S = 3.0
"""Seconds for which a call without a time-out is observed before it counts as hung."""


def _client(url: str, **settings: Any) -> Any:
    """Return pymemcache's client for the whole of this URL, with its defaults except for these settings."""
    return make(url, **settings)


def _ask(history: ProcessLog, call: Callable[[], object]) -> str:
    """Call, log what the program was told, and return it. False and an error of the server mean "no"."""
    from pymemcache.exceptions import MemcacheServerError

    try:
        answer = call()
    except MemcacheServerError as error:
        history.fail()
        return f"raised {line_of(error)}"
    if answer:
        history.ok()
    else:
        history.fail()
    return f"returned {answer}"


def _noreply(right: bool) -> dict[str, bool]:
    return {"default_noreply": False} if right else {}


def _two_adds(parent: Connection, logs: tuple[Path, Path], url: str, key: str, right: bool) -> list[str]:
    """Run two programs, one after the other, that add the same key, as for a lock."""
    words = []
    for log, process, value in zip(logs, (PROGRAM, OTHER), ("first", "second"), strict=True):
        with ProcessLog(log, process) as history, closing(_client(url, **_noreply(right))) as client:
            history.invoke("cas", [None, value])
            words.append(_ask(history, partial(client.add, key, value)))
            # The server answers this, so it has done the above, whatever the call above waited for.
            client.version()
    return words


def _add(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("lock")
    bench.at_end(_delete, bench.url, key)
    logs = bench.log(PROGRAM), bench.log(OTHER)
    words = bench.start("programs", _two_adds, logs, bench.url, key, right).result()
    held = _look(bench, key)
    finding = f"the first add() {words[0]}, that of the same key by another {words[1]}; it holds {held!r}"
    return Seen(finding=finding, counts={"told_added": sum(w == "returned True" for w in words)})


def _set_big(parent: Connection, log: Path, url: str, key: str, right: bool) -> str:
    with ProcessLog(log, PROGRAM) as history, closing(_client(url, **_noreply(right))) as client:
        history.invoke("write", BIG)
        words = _ask(history, lambda: client.set(key, bytes(BIG_BYTES)))
        client.version()
        return words


def _set(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("value")
    bench.at_end(_delete, bench.url, key)
    before = _refused(bench.url)
    words = bench.start("program", _set_big, bench.log(PROGRAM), bench.url, key, right).result()
    held = _look(bench, key)
    refused = _refused(bench.url) - before
    finding = (
        f"one set() of 2 MiB {words}; the key holds {held or 'nothing'}: "
        f"the server refused a value as too large {times(refused)}"
    )
    return Seen(finding=finding, counts={"refused": refused}, produced=held is None)


def _get(parent: Connection, log: Path, url: str, key: str, right: bool) -> str:
    with ProcessLog(log, PROGRAM) as history:
        client = _client(url, **({"connect_timeout": TIMEOUT_S, "timeout": TIMEOUT_S} if right else {}))
        client.version()
        say(parent, "connected")
        parent.recv()
        history.invoke("read")
        try:
            answer = client.get(key)
        except OSError as error:
            history.info()
            return f"raised {line_of(error)}"
        history.ok(None if answer is None else answer.decode())
        return f"returned {answer!r}"


def _silence(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("value")
    proxy, url = bench.proxy()
    program = bench.start("program", _get, bench.log(PROGRAM), url, key, right)
    program.heard()
    hung = {}
    with bench.fault("hold", "program"):
        proxy.hold()
        program.tell("go")
        if where := program.hangs(PATIENCE_S if right else HANG_S):
            words = f"did not return within {HANG_S:g} s"
            hung["program"] = where
        else:
            words = str(program.result())
    _look(bench, key)
    return Seen(finding=f"one get() over a line that no longer carries data {words}", hung=hung)


def _look(bench: Bench, key: str) -> str | None:
    """Return what the server has under this key, and log it; for a big value its size."""
    with bench.server() as history, closing(connect(bench.url)) as client:
        history.invoke("read")
        value: bytes | None = client.get(key)
        found = None if value is None else BIG if len(value) == BIG_BYTES else value.decode()
        history.ok(found)
        return found


def _refused(url: str) -> int:
    """Return how many values the server has refused as too large so far, from all clients."""
    with closing(connect(url)) as client:
        return int(client.stats().get(b"store_too_large", 0))


def _delete(url: str, key: str) -> None:
    with closing(connect(url)) as client:
        client.delete(key)


_client_pair = partial(
    pair, backend="memcached", library="pymemcache", model="register", default="Client(address)"
)

SCENARIOS = (
    *_client_pair(
        "noreply-add",
        _add,
        asked="add() of a key that another program has added before",
        says="True to both",
        has="the first one's value",
        right="default_noreply=False",
    ),
    *_client_pair(
        "noreply-set",
        _set,
        asked="set() of a value that is too large for the server",
        says="True",
        has="nothing",
        right="default_noreply=False",
    ),
    *_client_pair(
        "silent-server",
        _silence,
        needs="proxy",
        asked="get() over a line that no longer carries data",
        says="nothing: it waits for ever",
        has="received no request",
        right=f"connect_timeout={TIMEOUT_S:g}, timeout={TIMEOUT_S:g}",
    ),
)
