"""What a result says about the machine: enough to judge it by, and nothing about who owns it."""

from __future__ import annotations

import getpass
import os
import platform
import socket
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from ipclab import __version__, environment
from ipclab.host import start_methods as startmethod
from ipclab.host.clock import ClockTest
from ipclab.results.result import Environment

CLOCK = ClockTest(rounds=3, offset_bound_ns=20_000, step_ns=40)


@pytest.fixture(scope="module")
def found() -> Environment:
    return environment.describe("spawn", CLOCK)


def test_it_names_the_software(found: Environment) -> None:
    assert found.ipclab == __version__
    assert found.python == platform.python_version()
    assert found.start_method == "spawn"
    assert set(found.libraries) >= {"redis", "hiredis", "pika", "pymemcache", "docker", "numpy"}
    assert all(found.libraries.values())


def test_it_has_the_client_versions_of_the_backends_that_ran() -> None:
    told = environment.describe("spawn", CLOCK, ["pytest", "not-installed"]).libraries
    assert told["pytest"] == pytest.__version__
    assert "not-installed" not in told


def test_it_names_the_machine_in_general_terms(found: Environment) -> None:
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.system.startswith(platform.system())
    assert found.processor
    assert found.load_1min >= 0


def test_it_carries_the_clock_self_test(found: Environment) -> None:
    assert found.clock == CLOCK


def test_it_tells_no_host_user_or_path(found: Environment) -> None:
    shown = {str(value) for value in msgspec.to_builtins(found).values()}
    private = {socket.gethostname(), getpass.getuser(), str(Path.home()), str(Path.cwd())}
    assert not shown & private
    assert not any("/" + part in text for text in shown for part in ("home", "root", "tmp"))


def test_it_survives_being_stored(found: Environment) -> None:
    assert msgspec.json.decode(msgspec.json.encode(found), type=Environment) == found


def test_a_machine_without_cpuinfo_is_named_by_its_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def refuse(path: Path, **how: Any) -> str:
        if str(path) == "/proc/cpuinfo":
            raise FileNotFoundError(path)
        return read(path, **how)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert environment.describe("fork", CLOCK).processor == platform.machine()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_start_method_is_always_the_one_that_was_chosen(method: startmethod.StartMethod) -> None:
    assert startmethod.context(method).get_start_method() == method


def test_an_unknown_start_method_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot find context"):
        startmethod.context("thread")  # type: ignore[arg-type]


def test_the_default_start_method_is_there_and_does_not_depend_on_python() -> None:
    assert startmethod.default() == "fork"
