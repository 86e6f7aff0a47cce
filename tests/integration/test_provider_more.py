"""The servers beside Redis, RabbitMQ and memcached: the lab starts, hurts and ends them in the same way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import KINDS, Broker, Fleet, acquire, kinds, probe, processes, stand_ins, state
from ipclab.errors import BrokerUnavailableError
from tests.support.servers import all_gone, answers, recorded, require_server

MORE: tuple[BrokerKind, ...] = tuple(kind for kind in kinds.OWN if kind not in KINDS)
NATIVE: tuple[BrokerKind, ...] = tuple(kind for kind in MORE if kind != "valkey")
"""Those whose program every supported system has a package for: Debian 12 has none for Valkey."""
DEADLINE_S = 60.0
SOON_S = 0.3
"""Who is paused or gone does not answer however long one waits."""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def containers(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Containers of all these kinds, started for this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCLAB_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        for variable in kinds.variables():
            patch.delenv(variable, raising=False)
        with acquire(MORE, provider="compose", install=False) as fleet:
            yield fleet


def is_controlled(broker: Broker) -> None:
    """Check that the lab reads the cost of this server, pauses, kills, shuts down and restarts it."""
    usage, url, version = broker.usage(), broker.url, broker.version
    assert broker.ours
    assert version == probe.version(broker.kind, url)
    assert usage is not None
    assert usage.cpu_s > 0
    assert usage.rss_bytes is not None
    assert usage.rss_bytes > 1_000_000
    broker.pause()
    try:
        assert broker.alive()
        assert not answers(broker, SOON_S)
    finally:
        broker.resume()
    assert answers(broker)
    for end in (broker.kill, broker.shut_down):
        end()
        assert not broker.alive()
        assert broker.usage() is None
        assert not answers(broker, SOON_S)
        broker.restart()
        assert (broker.url, broker.version) == (url, version)
        assert answers(broker)


@pytest.mark.parametrize("kind", NATIVE)
def test_a_private_server_is_controlled_by_the_lab_and_leaves_nothing(
    own_state: Path, kind: BrokerKind
) -> None:
    require_server(kind)
    with acquire([kind], provider="native", install=False) as fleet:
        is_controlled(fleet.brokers[kind])
        started = recorded()
    assert all_gone(started)
    assert list(own_state.iterdir()) == []


@pytest.mark.parametrize("kind", MORE)
def test_a_container_is_controlled_by_the_lab(containers: Fleet, kind: BrokerKind) -> None:
    is_controlled(containers.brokers[kind])


@pytest.mark.parametrize("kind", MORE)
def test_a_container_refuses_who_has_no_password(containers: Fleet, kind: BrokerKind) -> None:
    broker = containers.brokers[kind]
    scheme, _, rest = broker.url.partition("://")
    login, _, address = rest.rpartition("@")
    password = login.partition(":")[2]
    assert len(password) == 32
    assert password not in broker.masked_url
    with pytest.raises(BrokerUnavailableError):
        probe.version(kind, f"{scheme}://{address}")
    assert password not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("kind", NATIVE)
def test_a_server_ends_by_the_kernel_when_lab_and_keeper_are_killed(
    own_state: Path, kind: BrokerKind
) -> None:
    require_server(kind)
    program = (
        "import time; from ipclab.brokers import acquire\n"
        f"with acquire([{kind!r}], provider='native', install=False):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as lab:
        try:
            assert lab.stdout is not None
            assert lab.stdout.readline() == "ready\n"
            left = [processes.identify(p.pid) for leader in recorded() for p in processes.members(leader)]
            for process in psutil.Process(lab.pid).children(recursive=True):
                if "keeper" in " ".join(process.cmdline()):
                    process.kill()
        finally:
            lab.kill()
    assert left
    wait_for(lambda: all_gone(left), "the kernel ends the server")
    acquire([], install=False).close()
    assert list(own_state.iterdir()) == []


def test_a_server_that_stands_in_for_another_kind_is_used_under_its_name(
    docker_engine: str, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stand_ins.VARIABLE, "redis=valkey")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    with acquire(["redis"], provider="compose", install=False) as fleet:
        broker = fleet.brokers["redis"]
        assert broker.kind == "redis"
        assert broker.version.endswith("(valkey)")
        with kinds.get("redis").applied(broker, {"appendonly": "yes"}):
            broker.kill()
            broker.restart()
            assert "appendonly=yes" in kinds.get("redis").changed(broker)
        assert kinds.get("redis").changed(broker) == ""
        projects = [r.project for _, r in state.records() if isinstance(r, state.ComposeRecord)]
    assert len(projects) == 1
    assert list(own_state.iterdir()) == []
    assert os.environ[stand_ins.VARIABLE] == "redis=valkey"
