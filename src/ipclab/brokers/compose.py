"""Containers of ``compose.yaml``. The project ``ipclab`` is the one of ``ipclab up`` and of a manual
`docker compose up`. A run that starts containers for itself gives them a project of its own, so that two runs
never share one and each can be removed as a whole.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import psutil

from ipclab.backends.base import BrokerKind
from ipclab.brokers import commands, engine, kinds, probe, processes
from ipclab.brokers.base import EXECUTE_WITHIN_S, SHUT_DOWN_WITHIN_S, Broker, Usage
from ipclab.brokers.kinds.base import ComposeService
from ipclab.brokers.processes import ProcessId
from ipclab.errors import BrokerUnavailableError, IpclabError
from ipclab.host import ports

if TYPE_CHECKING:
    from docker.models.containers import Container

PROJECT = "ipclab"
# Downloading the images is part of the first start.
_UP_WITHIN_S = 900.0
_REMOVE_WITHIN_S = 20.0
_READY_WITHIN_S = 60.0
_POLL_S = 0.05
_ATTEMPTS = 3


class ComposeBroker(Broker):
    """A container of the project, by its id: a container that replaces it is another broker."""

    provider = "compose"

    def __init__(self, kind: BrokerKind, host: str, container: Container, version: str) -> None:
        super().__init__(
            kind,
            self.address(kind, container),
            version,
            ours=True,
            where=f"container {container.name}",
            started_at_s=_started_at_s(container),
        )
        self.project: str = container.labels[engine.PROJECT_LABEL]
        self._service = kind
        """The name of its service, also where it stands in for another kind."""
        self._host = host
        self._id: str = str(container.id)
        self._process = _process_here(container)

    def address(self, kind: BrokerKind, container: Container) -> str:
        """Return the URL at which the lab reaches this container."""
        return _url(kind, container)

    @property
    def outlives_run(self) -> bool:
        return self.project == PROJECT

    @contextlib.contextmanager
    def _container(self) -> Iterator[Container]:
        with engine.client(self._host) as client:
            yield client.containers.get(self._id)

    def usage(self) -> Usage | None:
        """Return the use of the container's processes if they are on this machine, else the engine's figures.

        An engine may take a second to answer.
        """
        if self._process is not None:
            return processes.usage([self._process])
        try:
            with self._container() as container:
                return _usage_by_engine(cast("dict[str, Any]", container.stats(stream=False, one_shot=True)))
        except IpclabError:
            return None

    def alive(self) -> bool:
        if self._process is not None:
            return processes.is_alive(self._process)
        try:
            with self._container() as container:
                return container.status in {"running", "paused"}
        except IpclabError:
            return False

    def pause(self) -> None:
        with self._container() as container:
            if container.status != "paused":
                container.pause()

    def resume(self) -> None:
        with self._container() as container:
            if container.status == "paused":
                container.unpause()

    def kill(self) -> None:
        with self._container() as container:
            if container.status in {"running", "paused"}:
                container.kill()
                container.wait()

    def shut_down(self) -> None:
        self.resume()
        with self._container() as container:
            # stop() returns once the container has ended, however long that takes, or at once if it does not
            # run.
            container.stop(timeout=int(SHUT_DOWN_WITHIN_S))

    def restart(self) -> None:
        self.kill()
        with self._container() as container:
            container.start()
            container.reload()
            self.url = self.address(self._service, container)
            self.started_at_s = _started_at_s(container)
            self._process = _process_here(container)
        self.version = wait_until_ready(self.kind, self.url)

    def execute(self, *command: str, timeout_s: float = EXECUTE_WITHIN_S) -> str:
        with engine.client(self._host, timeout_s) as client:
            done = client.containers.get(self._id).exec_run(list(command), demux=True)
        parts = cast("tuple[bytes | None, bytes | None]", done.output)
        output, errors = ((part or b"").decode("utf-8", "replace") for part in parts)
        if done.exit_code != 0:
            raise IpclabError(f"{command[0]} failed in {self.where}: {commands.last_line(errors or output)}")
        return output

    def stop(self) -> None:
        remove(self.project, [self._service])


def running(
    host: str, names: Iterable[BrokerKind], project: str = PROJECT
) -> dict[BrokerKind, ComposeBroker]:
    """Return the brokers among the running containers of a project, without those that do not answer."""
    found: dict[BrokerKind, ComposeBroker] = {}
    for kind, container in _containers(host, project).items():
        if kind in names:
            with contextlib.suppress(BrokerUnavailableError):
                found[kind] = ComposeBroker(kind, host, container, probe.version(kind, _url(kind, container)))
    return found


def start(
    host: str, wanted: Sequence[BrokerKind], project: str, on_event: Callable[[str], None]
) -> tuple[dict[BrokerKind, ComposeBroker], dict[BrokerKind, str]]:
    """Run `docker compose up --wait` for these services; return those that answer, and the others' reasons.

    Where one fails, the others are tried alone. Whatever is raised, KeyboardInterrupt included, nothing that
    was added to the lasting project is left running. The project of a run has a record, by which it is taken
    down.
    """
    names = ", ".join(kinds.get(kind).title for kind in wanted)
    on_event(f"starting {names} with docker compose (the first time downloads the images)")
    failed: dict[BrokerKind, str] = {}
    ready: dict[BrokerKind, ComposeBroker] = {}
    try:
        reason = _start_services(host, project, wanted)
        if reason is not None:
            failed = {
                kind: reason if len(wanted) == 1 else (_start_services(host, project, [kind]) or "")
                for kind in wanted
            }
            failed = {kind: why for kind, why in failed.items() if why}
        containers = _containers(host, project)
        for kind in wanted:
            if kind in failed:
                continue
            try:
                container = containers[kind]
                version = wait_until_ready(kind, _url(kind, container))
                ready[kind] = ComposeBroker(kind, host, container, version)
            except BrokerUnavailableError as error:
                failed[kind] = str(error)
            except KeyError:
                failed[kind] = "its container ended at once"
        if failed:
            remove(project, list(failed))
    except BaseException:
        if project == PROJECT:
            remove(project, wanted)
        raise
    return ready, failed


def strangers(host: str, *, by_name: bool = False) -> list[str]:
    """Return what ``PROJECT`` has that is not of the lab's compose file: another project has that name.

    ``by_name`` adds volumes that only have a name of the project; a start would take them for its own.
    """
    with engine.client(host) as client:
        mine: dict[str, str | list[str] | bool] = {"label": f"{engine.PROJECT_LABEL}={PROJECT}"}
        labels = {str(c.name): c.labels for c in client.containers.list(all=True, filters=mine)}
        labels |= {
            str(v.name): v.attrs.get("Labels") or {}
            for v in client.volumes.list()
            if (v.attrs.get("Labels") or {}).get(engine.PROJECT_LABEL) == PROJECT
            or (by_name and str(v.name).startswith(f"{PROJECT}_"))
        }
    return sorted(name for name, its in labels.items() if engine.OURS not in its)


def remove(project: str, kinds: Sequence[BrokerKind]) -> None:
    """Remove these services and, with the last one, the network and the volumes of the project."""
    gone = engine.compose(project, "rm", "--force", "--stop", "--volumes", *kinds, timeout_s=_REMOVE_WITHIN_S)
    if gone.returncode != 0:
        return
    left = engine.compose(project, "ps", "--all", "--quiet", timeout_s=engine.DOWN_WITHIN_S)
    if left.returncode == 0 and not left.stdout.strip():
        engine.take_down(project)


def _start_services(host: str, project: str, wanted: Sequence[BrokerKind]) -> str | None:
    """Start services on free ports; return None, or why it failed. Replace a port taken meanwhile."""
    reason = ""
    passwords = _passwords(host, project, wanted)
    for _ in range(_ATTEMPTS):
        env = os.environ | passwords
        for variable in (name for kind in wanted for name in _service(kind).variables):
            if not env.get(variable):
                env[variable] = str(ports.free_port())
        done = engine.compose(project, "up", "--detach", "--wait", *wanted, timeout_s=_UP_WITHIN_S, env=env)
        if done.returncode == 0:
            return None
        reason = commands.last_line(done.stderr)
        if not any(sign in reason for sign in ("port is already allocated", "address already in use")):
            break
    return f"docker compose failed: {reason}"


def _containers(host: str, project: str) -> dict[BrokerKind, Container]:
    """Return the running containers of a project that publish the port of their broker."""
    labels = [f"{engine.PROJECT_LABEL}={project}", "com.docker.compose.oneoff=False", engine.OURS]
    with engine.client(host) as client:
        listed = client.containers.list(filters={"label": labels, "status": "running"}, ignore_removed=True)
    return {
        kind: container
        for kind in served()
        for container in listed
        if container.labels.get("com.docker.compose.service") == kind
        and container.ports.get(_service(kind).port)
    }


def served() -> list[BrokerKind]:
    """Return the kinds that have a service in ``compose.yaml``, which only kinds of the lab can have."""
    return [name for name in kinds.OWN if kinds.get(name).service is not None]


def _service(kind: BrokerKind) -> ComposeService:
    service = kinds.get(kind).service
    assert service is not None, f"compose.yaml has no service {kind}"
    return service


def _url(kind: BrokerKind, container: Container) -> str:
    published = (container.ports[_service(kind).port] or [{}])[0]
    address = published["HostIp"]
    if address in {"", "0.0.0.0", "::"}:
        address = "127.0.0.1"
    service = _service(kind)
    secret = password(kind, container)
    login = service.login.format(quote(secret, safe="")) if secret else ""
    return service.url.format(login=login, at=f"{address}:{published['HostPort']}")


def password(kind: BrokerKind, container: Container) -> str:
    """Return the password that a container was started with; empty for none."""
    given = dict(line.split("=", 1) for line in container.attrs["Config"]["Env"] if "=" in line)
    return str(given.get(_service(kind).password_inside, ""))


def _passwords(host: str, project: str, wanted: Sequence[BrokerKind]) -> dict[str, str]:
    """Return the variables with the passwords for these services, except those that the user has set.

    A service that has a container keeps its password, because RabbitMQ stores it in its volume.
    """
    labels = [f"{engine.PROJECT_LABEL}={project}", engine.OURS]
    with engine.client(host) as client:
        stopped = client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
    before = {str(c.labels.get("com.docker.compose.service")): c for c in stopped}
    return {
        variable: password(kind, before[kind]) if kind in before else secrets.token_hex(16)
        for kind in wanted
        if not os.environ.get(variable := _service(kind).password_variable)
    }


def _started_at_s(container: Container) -> float:
    return datetime.fromisoformat(container.attrs["State"]["StartedAt"]).timestamp()


def _process_here(container: Container) -> ProcessId | None:
    """Return the first process of a container, if the engine runs on this machine and not in a virtual one.

    Only that process's control group contains the container's id.
    """
    pid = int(container.attrs["State"]["Pid"])
    with contextlib.suppress(OSError, psutil.Error):
        if str(container.id) in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii", errors="replace"):
            return processes.identify(pid)
    return None


def _usage_by_engine(stats: dict[str, Any]) -> Usage | None:
    memory = stats.get("memory_stats", {})
    if "usage" not in memory:
        return None
    detail = memory.get("stats", {})
    # The page cache of the server's reads and writes can be reclaimed at any time.
    cache = detail.get("inactive_file", detail.get("total_inactive_file", 0))
    return Usage(stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, memory["usage"] - cache)


def wait_until_ready(kind: BrokerKind, url: str) -> str:
    """Return the version of a server that may still start. Raise BrokerUnavailableError after a minute."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            return probe.version(kind, url)
        except BrokerUnavailableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)
