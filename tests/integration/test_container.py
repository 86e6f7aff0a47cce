"""The lab as a container of compose.yaml, on a real Docker engine."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from ipclab.brokers import KINDS, engine, kinds
from ipclab.exit_codes import ExitCode
from ipclab.host import ports
from ipclab.results.store import read
from tests.support.documents import CHECKOUT
from tests.support.program import SHORT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALLER = 12345
"""The user and the group of the folder in which the lab is called."""
PROJECT = f"ipclabtest{os.getpid()}"
PYTHON = "3.13"
"""The version in the image."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A folder with compose.yaml that belongs to another user, and a project that no other test has."""

    folder: Path
    environ: dict[str, str]

    def start(
        self, *arguments: str, service: str = "lab", terminal: int = subprocess.PIPE, **more: str
    ) -> subprocess.Popen[str]:
        """Begin `docker compose run --rm SERVICE …` in the folder, at a terminal where one is given."""
        return subprocess.Popen(
            ["docker", "compose", "run", "--rm", service, *arguments],
            cwd=self.folder,
            env=self.environ | more,
            stdin=None if terminal == subprocess.PIPE else terminal,
            stdout=terminal,
            stderr=terminal,
            text=True,
            start_new_session=terminal != subprocess.PIPE,
        )

    def run(self, *arguments: str, service: str = "lab", code: int = ExitCode.SUCCESS, **more: str) -> str:
        """Run it to its end; return its stdout."""
        with self.start(*arguments, service=service, **more) as lab:
            out, err = lab.communicate(timeout=300)
        assert lab.returncode == code, out + err
        return out

    def down(self) -> None:
        """End everything, as the manual says."""
        subprocess.run(
            ["docker", "compose", "down", "-v"],
            cwd=self.folder,
            env=self.environ,
            check=True,
            capture_output=True,
            timeout=120,
        )


def left_of(host: str) -> list[str]:
    """Return the containers, volumes and networks of the project."""
    labels = {"label": f"{engine.PROJECT_LABEL}={PROJECT}"}
    with engine.client(host) as client:
        found = [
            *client.containers.list(all=True, filters=labels),
            *client.volumes.list(filters=labels),
            *client.networks.list(filters=labels),
        ]
        return [str(thing.name) for thing in found]


@pytest.fixture(scope="module")
def image(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image of the lab. The pip of this machine gets its packages: it may know another index."""
    folder = tmp_path_factory.mktemp("wheels")
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--dest",
        folder,
    ]
    target = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    subprocess.run(
        [*pip, *target, "-c", CHECKOUT / "constraints.txt", *project["dependencies"], "hatchling"],
        check=True,
        capture_output=True,
        timeout=300,
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "pip.conf").write_text(
            f"[global]\nno-index = true\nfind-links = http://127.0.0.1:{server.server_port}/\n"
        )
        built = subprocess.run(
            ["docker", "compose", "build", "lab"],
            cwd=CHECKOUT,
            env=os.environ | {"IPCLAB_BUILD_NETWORK": "host", "IPCLAB_PIP_CONF": str(folder / "pip.conf")},
            capture_output=True,
            text=True,
            timeout=500,
        )
        server.shutdown()
    assert built.returncode == 0, built.stderr[-2000:]


def _ports(kind: str) -> tuple[str, ...]:
    service = kinds.get(kind).service
    return service.variables if service else ()


@pytest.fixture
def caller(image: None, docker_engine: str, short_folder: Path) -> Iterator[Caller]:
    shutil.copy(CHECKOUT / "compose.yaml", short_folder)
    os.chown(short_folder, CALLER, CALLER)
    moved = {name: str(ports.free_port()) for kind in KINDS for name in _ports(kind)}
    caller = Caller(short_folder, os.environ | {"COMPOSE_PROJECT_NAME": PROJECT} | moved)
    yield caller
    caller.down()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another user")
def test_the_lab_measures_the_brokers_beside_it_and_leaves_only_results_of_the_caller(
    caller: Caller, docker_engine: str
) -> None:
    table = caller.run("run", "comparison", "--backend", "pipe", "--backend", "redis-stream", *SHORT)
    assert "compose, container network" in table
    run = caller.folder / "results" / "latest"
    assert {"result.json", "table.md", "report.html"} <= {file.name for file in run.iterdir()}
    left = [caller.folder / "results", *(caller.folder / "results").rglob("*")]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in left} == {(CALLER, CALLER)}
    result = read(run / "result.json")
    (broker,) = {(one.kind, one.provider, one.network, one.url) for one in result.brokers}
    assert broker == ("redis", "compose", "container network", "redis://redis:6379/0")

    doctor = caller.run("doctor", IPCLAB_CPUS="0.5")
    assert "0.5 of" in doctor
    assert "at most 4096" in doctor
    assert "1 GiB" in doctor

    fault = ("run", "crash", "--backend", "redis-list", "--fault", "kill", "--target", "broker")
    refused = caller.run(*fault, code=ExitCode.UNKNOWN)
    assert refusals(caller)
    assert "docker compose run --rm lab-faults" in " ".join(refused.split())
    caller.run(*fault, service="lab-faults")
    assert refusals(caller) == []

    caller.down()
    assert left_of(docker_engine) == []


def drain(screen: IO[bytes]) -> None:
    """Read what is written to a terminal until nobody has it open."""
    with contextlib.suppress(OSError):
        while screen.read(4096):
            pass


def refusals(caller: Caller) -> list[str]:
    """Return why trials of the last run were refused."""
    trials = read(caller.folder / "results" / "latest" / "result.json").trials
    return [trial.safety.refused for trial in trials if trial.safety and trial.safety.refused]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another user")
def test_an_interrupted_lab_leaves_its_partial_result_and_no_container(
    caller: Caller, docker_engine: str
) -> None:
    keyboard, terminal = os.openpty()
    with (
        caller.start("run", "comparison", "--backend", "pipe", "--duration", "5", terminal=terminal) as lab,
        os.fdopen(keyboard, "r+b", buffering=0) as screen,
    ):
        os.close(terminal)
        shown = threading.Thread(target=drain, args=[screen], daemon=True)
        shown.start()
        deadline = time.monotonic() + 120
        while not [*caller.folder.glob("results/comparison/*/trials.jsonl")]:
            assert time.monotonic() < deadline, "the run did not begin"
            assert lab.poll() is None, "the run ended"
            time.sleep(0.1)
        screen.write(b"\x03")
        assert lab.wait(timeout=120) == ExitCode.INTERRUPTED
        shown.join(timeout=30)
    (run,) = caller.folder.glob("results/comparison/*")
    assert (run / "PARTIAL").exists()
    assert not read(run / "result.json").complete
    caller.down()
    assert left_of(docker_engine) == []
