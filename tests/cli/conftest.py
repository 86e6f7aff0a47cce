"""The real program, run as a user runs it, in a folder of its own and with no server in its environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from ipclab.brokers import kinds
from ipclab.cli import main
from tests.support.own_servers import end_with_tests
from tests.support.program import ONE_TRIAL, PASSWORD, PROGRAM, TIMEOUT_S, Ended, Ipclab, free_port
from tests.support.servers import unavailable


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of the program: no server, a state folder of its own."""
    servers = set(kinds.variables())
    kept = {name: value for name, value in os.environ.items() if name not in servers}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        kept.pop(name, None)
    return {**kept, "IPCLAB_STATE_DIR": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def ipclab(tmp_path: Path, environ: dict[str, str]) -> Ipclab:
    """Runs the program in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()

    def run(*arguments: str, **more: str) -> Ended:
        ended = subprocess.run(
            [PROGRAM, *arguments],
            cwd=here,
            env={**environ, **more},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture(scope="session")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the program has run ONE_TRIAL."""
    folder = tmp_path_factory.mktemp("one-run")
    env = {**os.environ, "IPCLAB_STATE_DIR": str(tmp_path_factory.mktemp("state"))}
    subprocess.run(
        [PROGRAM, *ONE_TRIAL], cwd=folder, env=env, check=True, capture_output=True, timeout=TIMEOUT_S
    )
    return folder


@pytest.fixture
def stored(one_run: Path, ipclab: Ipclab, here: Path) -> None:
    """Put the results of ONE_TRIAL into the folder in which the program runs."""
    shutil.copytree(one_run, here, symlinks=True, dirs_exist_ok=True)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which the program runs."""
    return tmp_path / "here"


@pytest.fixture(scope="session")
def locked_redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Redis server on this port that wants ``PASSWORD``."""
    program = kinds.get("redis").find_program()
    if program is None:
        unavailable("not installed: redis-server; get it by: apt-get install redis-server")
    port = free_port()
    with subprocess.Popen(
        [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD],
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.DEVNULL,
        preexec_fn=end_with_tests,
    ) as server:
        try:
            _await_redis(port)
            yield port
        finally:
            server.kill()


def _await_redis(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with closing(redis.Redis(port=port, password=PASSWORD)) as client:
                client.ping()
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "redis-server did not start within 20 s"
            time.sleep(0.02)
        else:
            return


BACKENDS = """
from ipclab.backends.base import Producer
from ipclab.backends.local.queue import SimpleQueueChannel


class Faulty(Producer):
    def __init__(self, producer):
        self._producer = producer
        self._sent = 0


class Losing(Faulty):
    def send(self, body):
        self._sent += 1
        if self._sent != 5 or len(body) == 16:
            self._producer.send(body)


class Failing(Faulty):
    def send(self, body):
        raise ConnectionError("the other side\\nis gone")


class LossyChannel(SimpleQueueChannel):
    name = "lossy"
    summary = "drops the fifth message, and declares that it never does"

    def producer(self, index):
        return Losing(super().producer(index))


class FailingChannel(SimpleQueueChannel):
    name = "failing"
    summary = "cannot send"

    def producer(self, index):
        return Failing(super().producer(index))
"""


@pytest.fixture
def bad_backends(tmp_path: Path) -> dict[str, str]:
    """The environment in which a package with bad backends is installed."""
    folder = tmp_path / "site"
    info = folder / "ipclab_bad-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ipclab.backends]\nlossy = ipclab_bad:LossyChannel\nfailing = ipclab_bad:FailingChannel\n"
    )
    (folder / "ipclab_bad.py").write_text(BACKENDS)
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Calls the program within this process with what it must refuse as a mistake of usage.

    Gives the one line that it says. At the end of the test nothing has been written or started.
    """
    folder = tmp_path / "untouched"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / "no-state"))
    for variable in kinds.variables():
        monkeypatch.delenv(variable, raising=False)
    terminated = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        out, err = capfd.readouterr()
        assert stop.value.code == 2
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("ipclab: ")
        return line

    yield call
    signal.signal(signal.SIGTERM, terminated)
    assert not any(folder.iterdir())
    assert not (tmp_path / "no-state").exists()
