"""Servers for tests: where they come from, and what to do where one cannot be had."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import cast

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import (
    Broker,
    Fleet,
    ProviderName,
    acquire,
    install,
    kinds,
    native,
    probe,
    processes,
    state,
)
from ipclab.brokers import url as urls
from ipclab.brokers.processes import ProcessId
from ipclab.conform import observers
from ipclab.errors import BrokerUnavailableError

PROVIDER_VARIABLE = "IPCLAB_TEST_PROVIDER"


def unavailable(reason: str, *, required: bool | None = None) -> None:
    """Skip with the reason on a laptop; with CI=true, or where required, that is a failure."""
    if os.environ.get("CI") == "true" if required is None else required:
        pytest.fail(reason)
    pytest.skip(reason)


def obtain(kind: BrokerKind) -> Fleet:
    """Return a fleet of this one server: the one its URL names, else by IPCLAB_TEST_PROVIDER, else native."""
    return _obtain(kind, "url" if urls.find(kind) else os.environ.get(PROVIDER_VARIABLE, "native"))


def obtain_private(kind: BrokerKind, state_folder: Path) -> Fleet:
    """Return a fleet of one server that is for the caller alone: to be emptied, stopped and killed."""
    with pytest.MonkeyPatch.context() as patch:
        # Where no server of ``ipclab up`` is found.
        patch.setenv("IPCLAB_STATE_DIR", str(state_folder))
        return _obtain(kind, "native")


def require_server(*names: BrokerKind) -> None:
    """Skip, or with CI=true fail, where the program of one of these servers is not installed."""
    absent = [kind for kind in names if kinds.get(kind).find_program() is None]
    if absent:
        unavailable(f"not installed: {', '.join(absent)}; get it by: {install.command(absent)}")


def _obtain(kind: BrokerKind, provider: str) -> Fleet:
    try:
        fleet = acquire([kind], provider=cast(ProviderName, provider), install=False)
    except BrokerUnavailableError as error:
        unavailable(str(error))
        raise
    if kind in fleet.missing:
        fleet.close()
        unavailable(fleet.missing[kind])
    return fleet


def forget_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the URLs of all servers from the environment."""
    for variable in kinds.variables():
        monkeypatch.delenv(variable, raising=False)


def list_queues(broker: Broker) -> list[str]:
    """Return the names of all queues of a private RabbitMQ; of one whose control program is elsewhere,
    those that this process has declared."""
    if not isinstance(broker, native.NativeBroker):
        return sorted(observers.names("rabbitmq", broker.url))
    launch = broker._record.launches[-1]
    answer = subprocess.run(
        [
            str(Path(launch.argv[0]).with_name("rabbitmqctl")),
            "-q",
            "list_queues",
            "--no-table-headers",
            "name",
        ],
        env=launch.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()


def recorded() -> list[ProcessId]:
    """Return the processes of private servers that the records of the state folder name."""
    return [
        process
        for _, record in state.records()
        if isinstance(record, state.NativeRecord)
        for process in record.processes
    ]


def all_gone(these: list[ProcessId]) -> bool:
    """Return whether none of these processes runs any more."""
    return not any(processes.is_alive(process) for process in these)


def answers(broker: Broker, within_s: float = probe.PROBE_TIMEOUT_S) -> bool:
    """Return whether a client is answered; on a busy machine that may take a while."""
    try:
        probe.version(broker.kind, broker.url, timeout_s=within_s)
    except BrokerUnavailableError:
        return False
    return True
