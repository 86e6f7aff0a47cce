"""What a killed run left on a server that a URL names is found, removed and told by the next command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ipclab import lab, readiness
from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant
from ipclab.brokers import Broker, kinds, marks, processes, url
from ipclab.brokers.kinds import memcached
from ipclab.brokers.kinds.redis import probe
from ipclab.errors import BrokerUnavailableError
from ipclab.experiment import Request, load
from ipclab.results.store import Store
from tests.support.servers import list_queues

DEADLINE_S = 60.0
PROGRAM = "from ipclab.cli import main; main()"
BACKENDS: dict[BrokerKind, str] = {
    # Its key is there also while no message is on its way.
    "redis": "redis-stream",
    "memcached": "memcached-ticket",
    "rabbitmq": "rabbitmq",
}
SHAPE = ["--producers", "1", "--consumers", "1", "--size", "64", "--window", "1", "--warmup", "0"]


def names(broker: Broker) -> list[str]:
    """The names of the lab on a server, asked of the server."""
    if broker.kind == "redis":
        with probe.client(broker.url) as client:
            return [key.decode() for key in client.scan_iter(match="ipclab:*")]
    if broker.kind == "rabbitmq":
        return [name for name in list_queues(broker) if name.startswith("ipclab:")]
    count = int(memcached.stats(broker.url)[b"curr_items"])
    return ["an item"] * count


def command(broker: Broker, state: Path, *arguments: str) -> subprocess.Popen[str]:
    env = os.environ | {kinds.get(broker.kind).variables[0]: broker.url, "IPCLAB_STATE_DIR": str(state)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=env, cwd=state.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def kill_a_run(broker: Broker, state: Path) -> None:
    """Kill a run with its whole group while it measures on this server."""
    endless = ["--duration", "60", "--repeats", "1"]
    with command(broker, state, "run", "throughput", "-b", BACKENDS[broker.kind], *SHAPE, *endless) as run:
        deadline = time.monotonic() + DEADLINE_S
        while not names(broker):
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.parametrize("kind", sorted(BACKENDS))
def test_the_next_run_removes_what_a_killed_run_left_and_says_so(
    private_broker_of: Callable[[BrokerKind], Broker], state: Path, kind: BrokerKind
) -> None:
    broker = private_broker_of(kind)
    kill_a_run(broker, state)
    assert names(broker)
    short = ["--duration", "0.1", "--repeats", "1"]
    with command(broker, state, "run", "throughput", "-b", BACKENDS[kind], *SHAPE, *short) as run:
        _, errors = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 0, errors
    (line,) = [line for line in errors.splitlines() if "left by the run of" in line]
    assert "removed" in line
    assert "password" not in line
    assert names(broker) == []
    assert list(state.iterdir()) == []


def test_down_at_urls_removes_it_on_demand(
    private_broker_of: Callable[[BrokerKind], Broker], state: Path
) -> None:
    broker = private_broker_of("redis")
    kill_a_run(broker, state)
    with probe.client(broker.url) as client:
        client.set("ipclab:mine", "a stranger's")
    told = []
    for _ in range(2):
        with command(broker, state, "down", "--url") as down:
            told.append(down.communicate(timeout=DEADLINE_S)[1])
        assert down.returncode == 0
    assert "removed one name left by the run of" in told[0]
    assert "no killed run left anything" in told[1]
    assert names(broker) == ["ipclab:mine"]
    with probe.client(broker.url) as client:
        client.delete("ipclab:mine")


def test_what_a_living_run_has_made_is_left_alone(
    private_broker_of: Callable[[BrokerKind], Broker], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(state))
    broker = private_broker_of("redis")
    mine = marks.Marks(broker, "ipclab:11111111-1", "2026-01-01T00:00:00+00:00")
    mine.begin(0)
    with probe.client(broker.url) as client:
        client.set("ipclab:11111111-1:0:messages", "under way")
        assert marks.sweep(broker.kind, broker.url) == []
        assert client.exists("ipclab:11111111-1:0:messages")
    assert mine.clean(broker.url) == ""
    assert names(broker) == []
    assert list(state.iterdir()) == []


def test_what_could_not_be_removed_is_told_with_the_command_and_stays_noted(
    private_broker_of: Callable[[BrokerKind], Broker], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(state))
    broker = url.UrlBroker("redis", private_broker_of("redis").url, "8", "REDIS_URL")
    mine = marks.Marks(broker, "ipclab:11111111-1", "2026-01-01T00:00:00+00:00")
    mine.begin(3)

    def refuse(*_: object) -> int:
        raise BrokerUnavailableError("it is away")

    monkeypatch.setattr(type(kinds.get("redis")), "remove", refuse)
    told = mine.clean(broker.url)
    assert "ipclab:11111111-1:3:…" in told
    assert "it is away" in told
    assert "'ipclab down --url'" in told
    (mark,) = [mark for _, mark in marks._marks()]
    assert mark.trials == [3]
    assert mark.owner == processes.this_process()
    assert "@" not in msgspec.json.encode(mark).decode()


def test_a_run_that_is_refused_removes_what_a_killed_run_left_all_the_same(
    private_broker_of: Callable[[BrokerKind], Broker], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(state))
    private = private_broker_of("redis")
    monkeypatch.setenv("REDIS_URL", private.url)
    broker = url.UrlBroker("redis", private.url, "8", "REDIS_URL")
    left = marks.Marks(broker, "ipclab:11111111-1", "2026-01-01T00:00:00+00:00")
    gone = msgspec.structs.replace(processes.this_process(), pid=2**22 - 1, start_ticks=1)
    left._mark = msgspec.structs.replace(left._mark, owner=gone)
    left.begin(0)
    with probe.client(private.url) as client:
        client.set("ipclab:11111111-1:0:messages", "left")

    def refuse(*_: object, **__: object) -> None:
        raise BrokerUnavailableError("it is too full")

    monkeypatch.setattr(readiness, "prepare", refuse)
    request = Request(backends=(Variant("redis-list"),), repeats=1)
    with pytest.raises(BrokerUnavailableError, match="it is too full"):
        lab.run(load("throughput"), request, store=Store(state.parent / "results"), install=False)
    assert names(private) == []
    assert list(state.iterdir()) == []
