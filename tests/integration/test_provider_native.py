"""Private servers: started, found, hurt, ended, and cleaned up after a lab that was killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import (
    KINDS,
    Broker,
    Fleet,
    acquire,
    native,
    probe,
    processes,
    programs,
    state,
    up,
)
from ipclab.brokers.kinds.memcached import Memcached
from ipclab.brokers.kinds.redis import Redis
from ipclab.brokers.processes import ProcessId
from ipclab.errors import BrokerUnavailableError
from ipclab.host import ports
from tests.support.servers import all_gone, answers, recorded, require_server

DEADLINE_S = 60.0
SOON_S = 0.3
"""Who is paused or gone does not answer however long one waits."""
QUICK: tuple[BrokerKind, ...] = ("redis", "memcached")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)


@pytest.fixture
def quick(own_state: Path) -> Iterator[Fleet]:
    """Private servers of the kinds that start in no time, which the test may do anything to."""
    require_server(*QUICK)
    with acquire(QUICK, provider="native", install=False) as fleet:
        yield fleet


@pytest.fixture
def lab(own_state: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs a lab in a process of its own; it says "ready" once it has its servers, and then waits."""
    running: list[subprocess.Popen[str]] = []
    require_server(*KINDS)

    def start(*kinds: BrokerKind) -> subprocess.Popen[str]:
        program = (
            "import time; from ipclab.brokers import acquire\n"
            f"with acquire({kinds!r}, provider='native', install=False,"
            " on_event=lambda line: print(line, flush=True)):\n"
            "    print('ready', flush=True)\n"
            "    time.sleep(100)\n"
        )
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    state.sweep()


def read_until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    pytest.fail(f"the lab ended before it said {word!r}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_server_answers_its_client_and_tells_version_and_cost(
    native_fleet: Fleet, kind: BrokerKind
) -> None:
    broker = native_fleet.brokers[kind]
    usage = broker.usage()
    assert broker.provider == "native"
    assert broker.ours
    assert broker.alive()
    assert broker.version == probe.version(kind, broker.url)
    assert usage is not None
    assert usage.cpu_s > 0
    assert usage.rss_bytes is not None
    assert usage.rss_bytes > 1_000_000


@pytest.mark.usefixtures("its_state")
def test_every_socket_of_private_servers_is_on_the_loopback_address(native_fleet: Fleet) -> None:
    addresses = [
        connection.laddr.ip
        for leader in recorded()
        for process in processes.members(leader)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(addresses) >= 5  # three servers, and Erlang's distribution and name registry
    assert set(addresses) <= {"127.0.0.1", "::1"}


@pytest.mark.usefixtures("its_state")
def test_the_password_of_a_private_server_is_not_shown(native_fleet: Fleet) -> None:
    for kind in ("redis", "rabbitmq"):
        broker = native_fleet.brokers[kind]
        password = urlsplit(broker.url).password
        assert password
        assert password not in broker.masked_url
        password = broker.url.split("@")[0].rpartition(":")[2]
        assert password not in broker.masked_url
        command_lines = [" ".join(p.cmdline()) for leader in recorded() for p in processes.members(leader)]
        assert not any(password in line for line in command_lines)


@pytest.mark.usefixtures("its_state")
def test_a_key_press_at_the_terminal_does_not_reach_private_servers() -> None:
    found = recorded()
    assert found
    assert all(os.getsid(process.pid) != os.getsid(0) for process in found)


def test_two_fleets_do_not_meet(quick: Fleet) -> None:
    with acquire(QUICK, provider="native", install=False) as other:
        assert {b.url for b in quick.brokers.values()}.isdisjoint(b.url for b in other.brokers.values())
    assert all(broker.alive() for broker in quick.brokers.values())


def test_closing_ends_the_servers_and_deletes_their_folders(quick: Fleet, own_state: Path) -> None:
    started = recorded()
    quick.close()
    assert all_gone(started)
    assert list(own_state.iterdir()) == []


def test_closing_twice_is_harmless(quick: Fleet) -> None:
    quick.close()
    quick.close()


@pytest.mark.parametrize("kind", QUICK)
def test_a_paused_server_is_there_but_does_not_answer_until_it_is_resumed(
    quick: Fleet, kind: BrokerKind
) -> None:
    broker = quick.brokers[kind]
    broker.pause()
    try:
        assert broker.alive()
        assert not answers(broker, SOON_S)
    finally:
        broker.resume()
    assert answers(broker)


@pytest.mark.usefixtures("its_state")
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_server_is_gone_and_restarts_on_the_same_address(
    native_fleet: Fleet, kind: BrokerKind
) -> None:
    broker = native_fleet.brokers[kind]
    url = broker.url
    broker.kill()
    assert not broker.alive()
    assert broker.usage() is None
    assert not answers(broker, SOON_S)
    if kind == "rabbitmq":
        assert not has_closed_its_store(broker)
    broker.restart()
    assert broker.alive()
    assert broker.url == url
    assert probe.version(kind, url) == broker.version


@pytest.mark.usefixtures("its_state")
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_shut_down_is_gone_and_restarts_on_the_same_address(
    native_fleet: Fleet, kind: BrokerKind
) -> None:
    broker = native_fleet.brokers[kind]
    url = broker.url
    broker.shut_down()
    assert not broker.alive()
    assert broker.usage() is None
    assert not answers(broker, SOON_S)
    if kind == "rabbitmq":
        assert has_closed_its_store(broker)
    broker.shut_down()
    broker.restart()
    assert broker.url == url
    assert probe.version(kind, url) == broker.version


def has_closed_its_store(broker: Broker) -> bool:
    """Whether RabbitMQ ended in good order: its message store leaves a file when it has closed, and takes it
    away when it starts."""
    (data,) = [folder for folder, record in state.records() if record == broker._record]  # type: ignore[attr-defined]
    return bool(list((data / "mnesia").rglob("clean.dot")))


def test_a_paused_server_can_be_shut_down(quick: Fleet) -> None:
    broker = quick.brokers["redis"]
    broker.pause()
    broker.shut_down()
    assert not broker.alive()
    folder = next(folder for folder, record in state.records() if record.kind == "redis")  # type: ignore[union-attr]
    assert "Redis is now ready to exit" in (folder / "server.log").read_text()


def test_a_server_that_does_not_end_when_it_is_asked_is_killed(tmp_path: Path) -> None:
    stubborn = processes.spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
        folder=tmp_path,
        log=tmp_path / "log",
        env={"PATH": programs.search_path()},
    )
    try:
        wait_for(lambda: "ready" in (tmp_path / "log").read_text(), "it ignores what it is asked")
        processes.terminate([stubborn], 0.3)
        assert not processes.is_alive(stubborn)
    finally:
        processes.end([stubborn])


def test_the_servers_of_a_killed_lab_end(lab: Callable[..., subprocess.Popen[str]], own_state: Path) -> None:
    killed = lab(*KINDS)
    read_until(killed, "ready")
    left_over = recorded()
    assert left_over
    killed.kill()
    wait_for(lambda: all_gone(left_over), "the keeper ends what the lab left")
    wait_for(lambda: not any(own_state.iterdir()), "the keeper deletes their folders")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_servers_end_by_the_kernel_when_lab_and_keeper_are_killed(
    lab: Callable[..., subprocess.Popen[str]], own_state: Path
) -> None:
    killed = lab(*KINDS)
    read_until(killed, "ready")
    left_over = [
        processes.identify(process.pid) for leader in recorded() for process in processes.members(leader)
    ]
    for process in psutil.Process(killed.pid).children(recursive=True):
        if "keeper" in " ".join(process.cmdline()):
            process.kill()
    killed.kill()
    killed.wait()
    wait_for(lambda: all_gone(left_over), "the kernel ends the servers")
    assert list(own_state.iterdir()) != []
    acquire([], install=False).close()
    assert list(own_state.iterdir()) == []


def test_an_interruption_in_the_middle_of_the_start_leaves_nothing(
    lab: Callable[..., subprocess.Popen[str]], own_state: Path
) -> None:
    interrupted = lab(*KINDS)
    read_until(interrupted, "starting a private memcached")
    wait_for(lambda: len(recorded()) >= len(KINDS), "the servers are there, RabbitMQ still booting")
    started = recorded()
    interrupted.send_signal(signal.SIGINT)
    interrupted.wait(DEADLINE_S)
    assert all_gone(started)
    assert list(own_state.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "name", "nth"),
    [(processes, "spawn", 1), (state, "create", 1), (Memcached, "plan", 1), (processes, "spawn", 2)],
    ids=["keeper", "folder", "plan", "server"],
)
def test_an_interruption_at_a_step_of_the_start_leaves_nothing(
    own_state: Path, module: object, name: str, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_server("memcached")
    done = getattr(module, name)
    found: list[object] = []

    def interrupted(*arguments: object, **options: object) -> object:
        found.append(done(*arguments, **options))
        if len(found) == nth:
            signal.raise_signal(signal.SIGINT)
        return found[-1]

    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        acquire(["memcached"], provider="native", install=False)
    assert len(found) == nth
    assert all_gone([one for one in found if isinstance(one, ProcessId)])
    assert list(own_state.iterdir()) == []


@pytest.mark.parametrize("kind", QUICK)
def test_a_port_that_was_taken_meanwhile_is_replaced(
    own_state: Path, kind: BrokerKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_server(kind)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        really_free = ports.free_port
        offers = iter([taken])
        monkeypatch.setattr(ports, "free_port", lambda: next(offers, None) or really_free())
        with acquire([kind], provider="native", install=False) as fleet:
            assert f":{taken}" not in fleet.brokers[kind].url
            assert answers(fleet.brokers[kind])


def test_a_server_that_dies_while_it_starts_is_reported_with_the_end_of_its_log(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "redis-server"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'Fatal error: the disk is on fire' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=os.pathsep)
    with pytest.raises(BrokerUnavailableError) as caught:
        acquire(["redis"], provider="native", install=False)
    assert "the disk is on fire" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(own_state.iterdir()) == []


def test_one_server_that_fails_does_not_keep_the_others_from_starting(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_server(*QUICK)
    monkeypatch.setattr(Redis, "find_program", lambda _: shutil.which("false"))
    ready, failed = native.start(QUICK, owner=processes.this_process(), on_event=lambda _: None)
    try:
        assert set(ready) == {"memcached"}
        assert "Redis ended while it started" in failed["redis"]
    finally:
        ready["memcached"].stop()


def test_a_server_that_is_not_installed_is_missing_with_the_command_that_gets_it(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memcached, "find_program", lambda _: None)
    with acquire(["memcached"], provider="native", install=False) as fleet:
        assert not fleet.brokers
        reason = fleet.missing["memcached"]
    assert "install memcached" in reason
    assert "Docker" in reason
    assert "MEMCACHED_URL" in reason
    assert "\n" not in reason


@pytest.mark.parametrize("start", [acquire, up])
def test_servers_of_which_nobody_could_be_told_are_ended_too(
    start: Callable[..., Fleet], own_state: Path
) -> None:
    require_server(*QUICK)

    def nobody_listens(line: str) -> None:
        if line.startswith("using"):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        start(QUICK, provider="native", install=False, on_event=nobody_listens)
    assert list(own_state.iterdir()) == []


def test_a_keeper_of_a_relative_state_folder_ends_the_servers_of_a_killed_lab(
    tmp_path: Path, lab: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPCLAB_STATE_DIR", "here")
    process = lab("memcached")
    read_until(process, "ready")
    found = recorded()
    process.kill()
    process.wait()
    assert found
    wait_for(lambda: all_gone(found), "the keeper ends the servers")
    wait_for(lambda: not list((tmp_path / "here").iterdir()), "the keeper deletes their folders")
