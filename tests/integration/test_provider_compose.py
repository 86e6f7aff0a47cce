"""Containers of compose.yaml on a real Docker engine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from ipclab.backends.base import BrokerKind
from ipclab.brokers import KINDS, Fleet, acquire, compose, down, engine, kinds, probe, state, status, up
from ipclab.errors import BrokerUnavailableError
from ipclab.host import ports

DEADLINE_S = 60.0


def containers(host: str, prefix: str = "ipclab") -> set[str]:
    with engine.client(host) as client:
        return {c.name for c in client.containers.list(all=True) if c.name and c.name.startswith(prefix)}


def left_of(host: str, project: str) -> list[str]:
    """What a project has on the engine: containers, volumes and networks."""
    labels = {"label": f"com.docker.compose.project={project}"}
    with engine.client(host) as client:
        found = [
            *client.containers.list(all=True, filters=labels),
            *client.volumes.list(filters=labels),
            *client.networks.list(filters=labels),
        ]
        return [str(thing.name) for thing in found]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def fleet(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Containers of all kinds, started for this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCLAB_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        with acquire(KINDS, provider="compose", install=False) as fleet:
            yield fleet


@pytest.fixture
def no_lasting_project(docker_engine: str, own_state: Path) -> Iterator[str]:
    """The project `ipclab` is free for the test, and taken down after it."""
    if left_of(docker_engine, compose.PROJECT):
        pytest.fail("the compose project ipclab is in use: `docker compose down -v` it before this test")
    yield docker_engine
    engine.take_down(compose.PROJECT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_answers_and_tells_version_and_cost(fleet: Fleet, kind: BrokerKind) -> None:
    broker = fleet.brokers[kind]
    usage = broker.usage()
    assert broker.provider == "compose"
    assert broker.ours
    assert broker.alive()
    assert broker.url.split("@")[-1].split("//")[-1].startswith("127.0.0.1:")
    assert broker.version == probe.version(kind, broker.url)
    assert usage is not None
    assert usage.cpu_s > 0
    assert usage.rss_bytes is not None
    assert usage.rss_bytes > 1_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_tells_the_cost_where_the_processes_are_not_on_this_machine(
    fleet: Fleet, kind: BrokerKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = fleet.brokers[kind]
    monkeypatch.setattr(broker, "_process", None)
    usage = broker.usage()
    assert broker.alive()
    assert usage is not None
    assert usage.cpu_s > 0
    assert usage.rss_bytes is not None
    assert usage.rss_bytes > 1_000_000


def test_a_paused_container_does_not_answer_until_it_is_resumed(fleet: Fleet) -> None:
    broker = fleet.brokers["redis"]
    broker.pause()
    try:
        assert broker.alive()
        with pytest.raises(BrokerUnavailableError):
            probe.version("redis", broker.url, timeout_s=0.3)
    finally:
        broker.resume()
    assert probe.version("redis", broker.url) == broker.version


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_container_is_gone_and_restarts_on_the_same_address(fleet: Fleet, kind: BrokerKind) -> None:
    broker = fleet.brokers[kind]
    url = broker.url
    broker.kill()
    assert not broker.alive()
    assert broker.usage() is None
    broker.restart()
    assert broker.alive()
    assert broker.url == url
    assert probe.version(kind, url) == broker.version


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_that_is_shut_down_ends_in_good_order_and_restarts_on_the_same_address(
    fleet: Fleet, docker_engine: str, kind: BrokerKind
) -> None:
    broker = fleet.brokers[kind]
    url = broker.url
    broker.pause()
    broker.shut_down()
    assert not broker.alive()
    with engine.client(docker_engine) as client:
        ended = client.containers.get(broker.where.split()[-1]).attrs["State"]
    assert ended["ExitCode"] != 128 + signal.SIGKILL
    broker.shut_down()
    broker.restart()
    assert broker.url == url
    assert probe.version(kind, url) == broker.version


def test_closing_leaves_no_container_volume_or_network(docker_engine: str, own_state: Path) -> None:
    with acquire(["redis"], provider="compose", install=False) as fleet:
        broker = fleet.brokers["redis"]
        assert isinstance(broker, compose.ComposeBroker)
        assert broker.project != compose.PROJECT
        assert left_of(docker_engine, broker.project)
    assert left_of(docker_engine, broker.project) == []
    assert list(own_state.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_the_containers_of_an_interrupted_or_killed_lab_are_removed(
    docker_engine: str, own_state: Path, sent: signal.Signals
) -> None:
    program = (
        "import time; from ipclab.brokers import acquire\n"
        "with acquire(['memcached'], provider='compose', install=False):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(100)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as lab:
        try:
            assert lab.stdout is not None
            assert lab.stdout.readline() == "ready\n"
            records = [record for _, record in state.records()]
            lab.send_signal(sent)
            lab.wait(DEADLINE_S)
        finally:
            lab.kill()
    wait_for(lambda: not any(own_state.iterdir()), "the lab or its keeper cleans up")
    for record in records:
        assert isinstance(record, state.ComposeRecord)
        assert left_of(docker_engine, record.project) == []


def test_containers_that_were_started_by_hand_are_used_and_left_running(no_lasting_project: str) -> None:
    moved = os.environ | {"IPCLAB_REDIS_PORT": str(ports.free_port())}
    by_hand = ["docker", "compose", "up", "--detach", "--wait", "redis"]
    checkout = engine.compose_file().parent
    subprocess.run(by_hand, cwd=checkout, env=moved, check=True, capture_output=True, timeout=DEADLINE_S)
    with acquire(["redis"], install=False) as fleet:
        assert fleet.brokers["redis"].where == "container ipclab-redis-1"
        assert fleet.brokers["redis"].url.endswith(f":{moved['IPCLAB_REDIS_PORT']}/0")
        assert fleet.brokers["redis"].ours
    assert containers(no_lasting_project, "ipclab-redis") == {"ipclab-redis-1"}
    assert [s.where for s in status() if s.provider == "compose"] == ["container ipclab-redis-1"]


def test_up_leaves_containers_for_later_runs_and_down_removes_them(no_lasting_project: str) -> None:
    first = up(["redis"], provider="compose", install=False)
    both = up(["redis", "memcached"], provider="compose", install=False)
    assert both.brokers["redis"].url == first.brokers["redis"].url
    assert both.brokers["memcached"].alive()
    assert {s.kind for s in down() if s.provider == "compose"} == {"redis", "memcached"}
    assert left_of(no_lasting_project, compose.PROJECT) == []


@pytest.fixture
def stranger(no_lasting_project: str) -> Iterator[str]:
    """A Redis of somebody else's compose project, whose name is ``ipclab`` as well."""
    image = yaml.safe_load(engine.compose_file().read_text(encoding="utf-8"))["services"]["redis"]["image"]
    labels = {
        "com.docker.compose.project": compose.PROJECT,
        "com.docker.compose.service": "redis",
        "com.docker.compose.oneoff": "False",
    }
    with engine.client(no_lasting_project) as client:
        container = client.containers.run(
            image, labels=labels, ports={"6379/tcp": ("127.0.0.1", None)}, detach=True
        )
        try:
            yield str(container.name)
        finally:
            container.remove(force=True, v=True)


def test_another_project_of_that_name_is_neither_used_nor_taken_down(
    stranger: str, no_lasting_project: str
) -> None:
    assert [s for s in status() if s.provider == "compose"] == []
    assert down() == []
    with pytest.raises(BrokerUnavailableError, match=f"another compose project is called ipclab .{stranger}"):
        up(["redis"], provider="compose", install=False)
    with acquire(["redis"], provider="compose", install=False) as fleet:
        assert fleet.brokers["redis"].where != f"container {stranger}"
    assert containers(no_lasting_project, stranger) == {stranger}


def test_a_port_that_was_taken_meanwhile_is_replaced(
    docker_engine: str, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        really_free = ports.free_port
        offers = iter([taken])
        monkeypatch.setattr(ports, "free_port", lambda: next(offers, None) or really_free())
        with acquire(["memcached"], provider="compose", install=False) as fleet:
            assert f":{taken}" not in fleet.brokers["memcached"].url
            assert fleet.brokers["memcached"].alive()


@pytest.fixture
def without_redis_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compose.yaml whose image for Redis is nowhere to be had; the others are as they were."""
    text = engine.compose_file().read_text(encoding="utf-8")
    other = tmp_path / "compose.yaml"
    other.write_text(
        text.replace("image: redis:", "image: 127.0.0.1:1/ipclab/no-such-image:"), encoding="utf-8"
    )
    monkeypatch.setattr(engine, "compose_file", lambda: other)


@pytest.mark.usefixtures("without_redis_image")
def test_a_missing_image_is_an_error_where_compose_was_asked_for(docker_engine: str, own_state: Path) -> None:
    before = containers(docker_engine)
    with pytest.raises(BrokerUnavailableError) as caught:
        acquire(["redis", "memcached"], provider="compose", install=False)
    assert "the provider compose has no Redis" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert containers(docker_engine) == before
    assert list(own_state.iterdir()) == []


@pytest.mark.usefixtures("without_redis_image")
def test_a_missing_image_falls_through_with_the_reason_and_the_others_stay_with_compose(
    docker_engine: str, own_state: Path
) -> None:
    with acquire(["redis", "memcached"], install=False) as fleet:
        assert fleet.brokers["memcached"].provider == "compose"
        if kinds.get("redis").find_program() is None:
            assert "docker compose failed" in fleet.missing["redis"]
        else:
            assert fleet.brokers["redis"].provider == "native"
            assert "docker compose failed" in fleet.passed_over["redis"]


def test_an_engine_that_is_not_there_is_told_in_one_line(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\nexit 0\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=os.pathsep)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-such.sock")
    with pytest.raises(BrokerUnavailableError, match="no Docker engine answers at unix://") as caught:
        acquire(["redis"], provider="compose", install=False)
    assert "\n" not in str(caught.value)


def test_an_engine_without_the_compose_plugin_is_told_in_one_line(
    docker_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" = context ] && echo "$ENGINE" && exit 0\nexit 1\n')
    docker.chmod(0o755)
    monkeypatch.setenv("ENGINE", docker_engine)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(BrokerUnavailableError, match="`docker compose` is missing"):
        engine.find()


def test_an_interruption_while_containers_start_leaves_nothing(docker_engine: str, own_state: Path) -> None:
    program = (
        "import time; from ipclab.brokers import acquire\n"
        "acquire(['redis', 'rabbitmq'], provider='compose', install=False,"
        " on_event=lambda line: print(line, flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as lab:
        assert lab.stdout is not None
        assert "starting" in lab.stdout.readline()
        project = next(r.project for _, r in state.records() if isinstance(r, state.ComposeRecord))
        wait_for(lambda: bool(left_of(docker_engine, project)), "docker compose is at work")
        lab.send_signal(signal.SIGINT)
    assert lab.returncode != 0
    assert left_of(docker_engine, project) == []
    assert list(own_state.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_of_the_lab_refuses_who_has_no_password(fleet: Fleet, kind: BrokerKind) -> None:
    broker = fleet.brokers[kind]
    scheme, _, rest = broker.url.partition("://")
    login, _, address = rest.rpartition("@")
    password = login.partition(":")[2]
    assert len(password) == 32
    assert password not in broker.masked_url
    stranger = "guest:guest@" if kind == "rabbitmq" else ""
    with pytest.raises(BrokerUnavailableError):
        probe.version(kind, f"{scheme}://{stranger}{address}")
    assert probe.version(kind, broker.url) == broker.version
    assert password not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def test_a_volume_of_a_stranger_with_the_name_of_ours_outlives_down(no_lasting_project: str) -> None:
    subprocess.run(["docker", "volume", "create", "ipclab_redis-data"], check=True, capture_output=True)
    try:
        with pytest.raises(BrokerUnavailableError, match="another compose project"):
            up(["redis"], provider="compose")
        moved = os.environ | {"IPCLAB_REDIS_PORT": str(ports.free_port())}
        by_hand = [
            "docker",
            "compose",
            "--file",
            str(engine.compose_file()),
            "up",
            "--detach",
            "--wait",
            "redis",
        ]
        subprocess.run(by_hand, env=moved, check=True, capture_output=True, timeout=DEADLINE_S)
        down()
        assert containers(no_lasting_project, "ipclab-redis") == set()
        with engine.client(no_lasting_project) as client:
            assert client.volumes.get("ipclab_redis-data")
    finally:
        subprocess.run(["docker", "volume", "rm", "ipclab_redis-data"], check=False, capture_output=True)
