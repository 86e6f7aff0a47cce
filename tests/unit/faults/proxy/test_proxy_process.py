"""The process of the proxy, which the lab must be rid of whatever happens, and how the lab talks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ipclab.errors import IpclabError, UsageError
from ipclab.faults.proxy.handle import Proxy, url_through
from ipclab.host.start_methods import StartMethod
from tests.support.processes import is_running, wait_until_gone
from tests.support.proxies import PATIENCE_S, Connect, echoes, receive

METHODS: tuple[StartMethod, ...] = ("fork", "spawn", "forkserver")


@pytest.mark.parametrize("method", METHODS)
def test_closing_ends_the_process_and_its_connections(
    echo_port: int, connect: Connect, method: StartMethod, nothing_left: None
) -> None:
    with Proxy("127.0.0.1", echo_port, method) as proxy:
        client = connect(proxy)
        assert echoes(client, b"hello")
        pid = proxy._process.pid
        proxy.close()
    assert pid is not None
    assert not is_running(pid)
    assert receive(client, 1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


def test_a_host_that_is_not_known_is_an_os_error_and_leaves_no_process(nothing_left: None) -> None:
    with pytest.raises(OSError, match=r".+"):
        Proxy("no-such-host.invalid", 1, "fork")


def test_a_proxy_that_was_killed_is_an_error_of_the_lab(echo_port: int, nothing_left: None) -> None:
    with Proxy("127.0.0.1", echo_port, "fork") as proxy:
        proxy._process.kill()
        proxy._process.join()
        with pytest.raises(IpclabError, match="the proxy has ended"):
            proxy.forwarded()


def test_an_interruption_between_request_and_answer_does_not_mix_up_the_answers(proxy: Proxy) -> None:
    proxy._asked += 1
    proxy._connection.send((proxy._asked, "held", (0.0,)))
    assert proxy.forwarded() == (0, 0)


def test_a_key_press_at_the_terminal_does_not_end_the_proxy(proxy: Proxy, connect: Connect) -> None:
    assert proxy._process.pid is not None
    os.kill(proxy._process.pid, signal.SIGINT)
    assert echoes(connect(proxy), b"still here")


@pytest.mark.parametrize("method", METHODS)
def test_the_proxy_of_a_killed_lab_ends_even_where_a_sibling_lives_on(
    tmp_path: Path, short_folder: Path, method: StartMethod
) -> None:
    program = tmp_path / "lab.py"
    # The sibling is forked after the proxy, so it holds copies of the lab's ends of all its pipes.
    program.write_text(
        "import os, time\n"
        "from ipclab.faults.proxy.handle import Proxy\n"
        "if __name__ == '__main__':\n"
        f"    proxy = Proxy('127.0.0.1', 1, {method!r})\n"
        "    sibling = os.fork()\n"
        "    if sibling:\n"
        "        print(proxy._process.pid, sibling, flush=True)\n"
        "    time.sleep(100)\n"
    )
    # What a killed lab leaves in the folder for temporary files goes with that of the test.
    env = os.environ | {"TMPDIR": str(short_folder)}
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, env=env) as lab:
        assert lab.stdout is not None
        pid, sibling = map(int, lab.stdout.readline().split())
        assert is_running(pid)
        lab.kill()
        lab.wait()
        try:
            assert wait_until_gone({pid}, PATIENCE_S) == set()
            assert is_running(sibling)
        finally:
            psutil.Process(sibling).kill()


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("redis://:pass@10.0.0.1:6379/0?protocol=3", "redis://:pass@127.0.0.1:1234/0?protocol=3"),
        ("redis://localhost", "redis://127.0.0.1:1234"),
        ("amqp://user:p%40ss@host/%2F?heartbeat=5", "amqp://user:p%40ss@127.0.0.1:1234/%2F?heartbeat=5"),
        ("amqp://user:p@ss@[::1]:5672/%2F", "amqp://user:p@ss@127.0.0.1:1234/%2F"),
        ("memcached://host:11211", "memcached://127.0.0.1:1234"),
    ],
)
def test_a_url_through_the_proxy_keeps_all_but_host_and_port(url: str, through: str) -> None:
    assert url_through(url, 1234) == through


def test_a_url_without_a_host_cannot_go_through_a_proxy() -> None:
    with pytest.raises(UsageError, match="unix URL names no host"):
        url_through("unix:///run/redis.sock", 1234)


@pytest.mark.parametrize(
    "order",
    [
        lambda proxy: proxy.hold_after("up", -1),
        lambda proxy: proxy.delay(-1.0),
        lambda proxy: proxy.slice(0),
        lambda proxy: proxy.limit(0.0),
    ],
)
def test_a_figure_that_means_nothing_is_refused(proxy: Proxy, order: Callable[[Proxy], None]) -> None:
    with pytest.raises(ValueError, match=r"not -?[0-9]"):
        order(proxy)
