"""A fleet is closed whole: a signal in the middle waits, and the keeper stays for what could not be ended."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ipclab.brokers import engine, fleet, processes, state
from ipclab.brokers.fleet import Fleet
from tests.support.servers import forget_urls


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / "state"))
    forget_urls(monkeypatch)
    return tmp_path / "state"


def with_two_records() -> Fleet:
    closed = Fleet()
    for _ in range(2):
        record = state.NativeRecord("redis", "", processes.this_process(), time.time())
        closed._note(state.create("redis", record))
    closed._guard()
    return closed


def test_a_signal_while_a_fleet_is_closed_waits_until_all_is_ended(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = processes.end

    def interrupted(*arguments: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return ended(*arguments)  # type: ignore[arg-type]

    open_one = with_two_records()
    monkeypatch.setattr(processes, "end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_one.close()
    assert list(home.iterdir()) == []
    assert open_one._keeper is None


def test_the_keeper_stays_for_what_could_not_be_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_one = with_two_records()
    really = state.end_folder
    first = open_one._folders[0]
    monkeypatch.setattr(state, "end_folder", lambda f, **options: f != first and really(f, **options))
    open_one.close()
    assert list(home.iterdir()) == [first]
    assert open_one._keeper is not None
    assert processes.is_alive(open_one._keeper)
    monkeypatch.undo()
    open_one.close()
    assert not first.exists()


FAKE_DOCKER = """#!/bin/sh
case "$*" in
  *"compose version"*|*"context inspect"*) exit 0;;
  *) exec sleep 600;;
esac
"""


def test_a_docker_command_that_never_returns_is_told_truly_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(FAKE_DOCKER)
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    program = (
        "from ipclab import cli\n"
        "from ipclab.brokers import engine\n"
        "engine._require_engine = lambda host: None\n"
        "from ipclab.brokers import compose, fleet\n"
        "from ipclab.cli import endings\n"
        "fleet.HURRIED_S = endings._END_WITHIN_S = 1\n"
        "compose.running = lambda *_: {}\n"
        "cli.main(['run', 'throughput', '-b', 'redis-list', '--provider', 'compose'])\n"
    )
    env = os.environ | {"PATH": f"{docker.parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=env, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as lab:
        assert lab.stderr is not None
        assert any("with docker compose" in line for line in lab.stderr)
        lab.terminate()
        began_s = time.monotonic()
        last = lab.stderr.read().splitlines()[-1]
        assert lab.wait(60) == 128 + signal.SIGTERM
    assert time.monotonic() - began_s < 45  # five minutes before
    assert "not stopped yet: the compose project ipclab-" in last
    assert "'ipclab down' stops it too" in last
    (left,) = state.records()
    assert isinstance(left[1], state.ComposeRecord)
    # The keeper goes on with this docker, which never returns, until its own time is over.
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()) == state.home():
                process.kill()


def test_a_volume_of_a_stranger_with_the_name_of_ours_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def docker(*arguments: str, **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(arguments)
        listed = "ipclab_rabbitmq-data\n" if "ls" in arguments else ""
        return subprocess.CompletedProcess(arguments, 0, listed, "")

    monkeypatch.setattr(engine, "docker", docker)
    assert engine.take_down("ipclab")
    assert not any("--volumes" in arguments for arguments in asked)
    (listing,) = [arguments for arguments in asked if "ls" in arguments]
    assert f"--filter=label={engine.OURS}" in listing
    assert asked[-1] == ("volume", "rm", "ipclab_rabbitmq-data")


def test_a_fleet_is_closed_in_a_hurry_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(engine, "take_down", lambda _, *, within_s: given.append(within_s) or True)
    for error in (None, KeyboardInterrupt):
        record = state.ComposeRecord("ipclab-x", processes.this_process(), ("redis",))
        opened = Fleet()
        opened._note(state.create("compose", record))
        opened.__exit__(error, None, None)
    assert given == [fleet.CLOSE_WITHIN_S, fleet.HURRIED_S]
