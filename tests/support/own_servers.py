"""Servers that a test starts itself, with settings that the lab would never give its own."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipclab.brokers import kinds
from ipclab.host import ports
from ipclab.host.interruptions import die_with_parent
from tests.support.servers import require_server

START_WITHIN_S = 30.0


@contextmanager
def redis(folder: Path, *settings: str, sentinel: bool = False) -> Iterator[int]:
    """Run a Redis with these command-line settings on a port of 127.0.0.1; yield the port."""
    require_server("redis")
    program = str(kinds.get("redis").find_program())
    port = ports.free_port()
    home = folder / f"redis-{port}"
    home.mkdir()
    file = home / "redis.conf"
    file.write_text("")
    command = [
        program,
        str(file),
        *(["--sentinel"] if sentinel else []),
        "--port",
        str(port),
        "--dir",
        str(home),
    ]
    bind = [] if "--bind" in settings else ["--bind", "127.0.0.1"]
    with _running([*command, "--save", "", *bind, *settings] if not sentinel else [*command, *bind], home):
        yield port


@contextmanager
def memcached(folder: Path, *settings: str) -> Iterator[int]:
    """Run a memcached with these command-line settings on a port of 127.0.0.1; yield the port."""
    require_server("memcached")
    port = ports.free_port()
    command = [str(kinds.get("memcached").find_program()), "-U", "0", "-u", "root", "-p", str(port)]
    bind = [] if "-l" in settings or "-s" in settings else ["-l", "127.0.0.1"]
    home = folder / f"memcached-{port}"
    home.mkdir()
    with _running([*command, *bind, *settings], home):
        yield port


def end_with_tests() -> None:
    """Make the kernel kill the calling process when the process of the tests ends, however that does.

    A worker of pytest-xdist that is killed ends no fixture.
    """
    die_with_parent(signal.SIGKILL)


@contextmanager
def _running(command: list[str], home: Path) -> Iterator[None]:
    with (home / "output").open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_tests,
        )
    try:
        time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait()


def wait_until_it_answers(kind: str, url: str) -> str:
    """Return the version of the server at ``url``, once it answers."""
    from ipclab.brokers import probe
    from ipclab.errors import BrokerUnavailableError

    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            return probe.version(kind, url)
        except BrokerUnavailableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
