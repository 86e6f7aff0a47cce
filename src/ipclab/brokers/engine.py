"""The Docker engine of this machine: whether it answers, a client for it, and `docker compose`."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import ipclab
from ipclab.brokers import commands
from ipclab.errors import BrokerUnavailableError, IpclabError

if TYPE_CHECKING:
    from docker import DockerClient

_ANSWER_WITHIN_S = 10.0
DOWN_WITHIN_S = 60.0
OURS = "ipclab.compose-file"
"""The label of every container and volume of ``compose.yaml``; another project may have the same name."""
PROJECT_LABEL = "com.docker.compose.project"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def compose_file() -> Path:
    """Return the compose.yaml of the checkout that this package runs from, or the one in the wheel."""
    package = Path(ipclab.__file__).resolve().parent
    checkout = package.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "compose.yaml").is_file():
        return checkout / "compose.yaml"
    return package / "_shipped" / "compose.yaml"


def find() -> str:
    """Return the address of an engine on this machine that answers and has `docker compose`.

    Raise BrokerUnavailableError with the reason where there is none.
    """
    if shutil.which("docker") is None:
        raise BrokerUnavailableError("the command docker is not installed")
    host = _with_scheme(os.environ.get("DOCKER_HOST", "").strip()) or _host_of_context()
    _require_engine(host)
    plugin = commands.run(["docker", "compose", "version"], timeout_s=_ANSWER_WITHIN_S)
    if plugin.returncode != 0:
        raise BrokerUnavailableError(
            "a Docker engine answers, but `docker compose` is missing: install Docker's compose plugin"
        )
    return host


@contextlib.contextmanager
def client(host: str, timeout_s: float = _ANSWER_WITHIN_S) -> Iterator[DockerClient]:
    """Yield a connection to the engine. Raise IpclabError where the engine refuses or does not answer."""
    import docker
    import requests

    try:
        if os.environ.get("DOCKER_HOST"):
            connected = docker.from_env(timeout=int(timeout_s))
        else:
            connected = docker.DockerClient(base_url=host, timeout=int(timeout_s))
        try:
            yield connected
        finally:
            connected.close()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise IpclabError(f"the Docker engine at {host} refuses: {commands.last_line(str(error))}") from None


def compose(
    project: str, *arguments: str, timeout_s: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `docker compose` on the lab's file for this project; capture the output.

    All profiles are active, so that services of each are listed and taken down. Callers that start services
    name them.
    """
    compose_of = ("compose", "--project-name", project, "--profile", "*", "--file", str(compose_file()))
    return docker(*compose_of, *arguments, timeout_s=timeout_s, env=env)


def docker(
    *arguments: str, timeout_s: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the docker command with these arguments; capture the output."""
    return commands.run(["docker", *arguments], timeout_s=max(timeout_s, 0.0), env=env)


def take_down(project: str, *, within_s: float = DOWN_WITHIN_S) -> bool:
    """Remove the containers, the network and the volumes of a project; return whether that succeeded.

    A volume is removed if it has the labels of the project and of the lab's compose file. A volume that only
    has the name of one belongs to another project and stays.
    """
    deadline = time.monotonic() + within_s
    down = compose(project, "down", "--timeout", "0", timeout_s=within_s)
    if down.returncode != 0:
        return False
    labels = [f"--filter=label={label}" for label in (f"{PROJECT_LABEL}={project}", OURS)]
    volumes = docker("volume", "ls", "--quiet", *labels, timeout_s=deadline - time.monotonic())
    names = volumes.stdout.split()
    if volumes.returncode == 0 and names:
        volumes = docker("volume", "rm", *names, timeout_s=deadline - time.monotonic())
    return volumes.returncode == 0


def _host_of_context() -> str:
    """Return the engine that the docker command uses; docker-py does not know contexts."""
    shown = commands.run(
        ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], timeout_s=_ANSWER_WITHIN_S
    )
    return shown.stdout.strip() or "unix:///var/run/docker.sock"


def _with_scheme(host: str) -> str:
    """Return an engine's address as a URL; ``docker`` reads a bare ``host:port`` as TCP."""
    return host if not host or "://" in host else f"tcp://{host}"


def _require_engine(host: str) -> None:
    parts = urlsplit(host)
    if parts.scheme == "unix":
        try:
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(_ANSWER_WITHIN_S)
                knock.connect(parts.path)
        except PermissionError:
            raise BrokerUnavailableError(
                f"no permission for the Docker engine at {host}: join the group docker, or use sudo"
            ) from None
        except OSError as error:
            raise BrokerUnavailableError(
                f"no Docker engine answers at {host}: {error.strerror or error}"
            ) from None
    elif parts.scheme == "npipe":
        raise BrokerUnavailableError(
            f"the Docker engine at {host} is a named pipe, which only Windows has: set DOCKER_HOST"
        )
    elif parts.hostname not in _LOOPBACK:
        raise BrokerUnavailableError(
            f"the Docker engine at {host} is on another machine: use an engine on this machine"
        )
    try:
        with client(host) as connected:
            connected.ping()
    except IpclabError as error:
        raise BrokerUnavailableError(str(error)) from None
