"""Ctrl-C, and worse, in the middle of a fault: what was stopped, set or squeezed is put back, or is gone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest

from ipclab.backends.redis.client import connect
from ipclab.brokers import Broker, processes
from ipclab.conform import observers
from tests.conftest import BrokerOf
from tests.integration.test_lab_interrupt import Lab, start
from tests.support.crashes import NAMESPACE, play
from tests.support.processes import wait_until_gone
from tests.support.servers import require_server

__all__ = ["start"]
pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]
MOMENT_S = 40.0

Moment = Callable[[psutil.Process], bool]


def some_child_is_stopped(lab: psutil.Process) -> bool:
    return any(is_stopped(child) for child in children(lab))


def is_stopped(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_STOPPED)
    return False


def children(lab: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return lab.children(recursive=True)
    return []


Interrupt = Callable[..., set[int]]


@pytest.fixture
def end_at(nothing_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupt]:
    """Plays a cell in another process and sends it a signal at a moment; the pids of its children then."""
    # What a killed lab leaves in the folder for temporary files goes with that of the test.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started: list[BaseProcess] = []
    seen: list[psutil.Process] = []

    def begin(
        number: signal.Signals,
        moment: Moment,
        backend: str,
        words: str,
        broker: Broker | None = None,
        **more: Any,
    ) -> set[int]:
        process = multiprocessing.get_context("fork").Process(
            target=_play_until_interrupted, args=(backend, words, broker, more)
        )
        process.start()
        started.append(process)
        lab = psutil.Process(process.pid)
        deadline = time.monotonic() + MOMENT_S
        while not moment(lab):
            assert process.is_alive(), "it ended before the moment came"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        everybody = children(lab)
        seen.extend(everybody)
        os.kill(lab.pid, number)
        process.join(MOMENT_S)
        assert process.exitcode == (130 if number == signal.SIGINT else -number)
        return {child.pid for child in everybody}

    yield begin
    for process in started:
        process.kill()
        process.join()
    for child in seen:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _forget_forkserver() -> None:
    """A lab has a forkserver of its own, which ends with it; one that other tests have started would not."""
    inherited: Any = forkserver._forkserver  # type: ignore[attr-defined]
    if inherited._forkserver_alive_fd is not None:
        os.close(inherited._forkserver_alive_fd)
    inherited._forkserver_alive_fd = inherited._forkserver_pid = inherited._forkserver_address = None


def _play_until_interrupted(backend: str, words: str, broker: Broker | None, more: dict[str, Any]) -> None:
    _forget_forkserver()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        # Again and again: one trial may be over before the one who saw its moment can interrupt it.
        while True:
            play(backend, words, broker, **more)
    os._exit(130)


@pytest.mark.parametrize(
    ("number", "backend", "words", "start_method"),
    [
        (signal.SIGINT, "queue", "pause consumer, busy", "fork"),
        (signal.SIGINT, "manager-queue", "pause broker, mid-message", "fork"),
        (signal.SIGKILL, "queue", "pause consumer, busy", "forkserver"),
        (signal.SIGKILL, "pipe", "pause producer, mid-message", "fork"),
        (signal.SIGKILL, "manager-queue", "pause broker, idle", "spawn"),
        (signal.SIGKILL, "manager-queue", "pause broker, idle", "forkserver"),
        (signal.SIGKILL, "manager-queue", "pause broker, mid-message", "fork"),
    ],
)
def test_no_stopped_process_outlives_the_lab(
    number: signal.Signals, backend: str, words: str, start_method: str, end_at: Interrupt
) -> None:
    everybody = end_at(number, some_child_is_stopped, backend, words, start_method=start_method)

    assert everybody
    assert wait_until_gone(everybody) == set()


@pytest.fixture
def redis(private_broker_of: BrokerOf) -> Broker:
    return private_broker_of("redis")


def pid_of(broker: Broker) -> int:
    return int(broker.where.removeprefix("pid "))


def test_a_paused_server_goes_on_after_ctrl_c_and_keeps_nothing(redis: Broker, end_at: Interrupt) -> None:
    server = psutil.Process(pid_of(redis))

    end_at(signal.SIGINT, lambda _lab: is_stopped(server), "redis-list", "pause broker, busy", redis)

    assert not is_stopped(server)
    assert observers.names("redis", redis.url, NAMESPACE) == set()


def config(broker: Broker, name: str) -> str:
    with connect(broker.url) as client:
        return str(client.config_get(name)[name])


def test_settings_and_memory_are_given_back_after_ctrl_c(redis: Broker, end_at: Interrupt) -> None:
    policy, memory = config(redis, "maxmemory-policy"), config(redis, "maxmemory")

    def squeezed(_lab: psutil.Process) -> bool:
        return config(redis, "maxmemory") != memory

    end_at(
        signal.SIGINT,
        squeezed,
        "redis-list",
        "fill-memory broker, busy",
        redis,
        broker_settings={"maxmemory-policy": "allkeys-lru"},
    )

    assert (config(redis, "maxmemory-policy"), config(redis, "maxmemory")) == (policy, memory)
    assert observers.names("redis", redis.url, NAMESPACE) == set()


def servers(lab: Lab) -> list[psutil.Process]:
    """The Redis of this lab, as long as it runs."""
    found = []
    for pid in lab.everybody():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.name().startswith("redis-server") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def paused(lab: Lab) -> bool:
    return any(is_stopped(server) for server in servers(lab))


def down(lab: Lab) -> bool:
    """It has been there, as its clients are."""
    return any(lab.tmp.glob("ipclab-trial-*/consumer-0.stack")) and not servers(lab)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(("fault", "moment"), [("pause", paused), ("restart", down)])
def test_a_server_of_the_lab_s_own_that_is_paused_or_down_ends_with_it(
    number: signal.Signals, fault: str, moment: Callable[[Lab], bool], start: Callable[..., Lab]
) -> None:
    require_server("redis")
    lab = start("crash", "--backend", "redis-list", "--fault", fault, "--target", "broker")
    lab.wait_for(moment)
    everybody = lab.everybody()

    lab.process.send_signal(number)

    assert lab.process.wait(MOMENT_S) == (130 if number == signal.SIGINT else -number)
    assert wait_until_gone(everybody - {lab.process.pid}) == set()
    assert not [path for path in lab.state.glob("*") if path.is_dir()]
    assert not processes.inside(lab.state)
