"""A private PostgreSQL: what its data and its clients see when the lab ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ipclab.brokers import Broker, acquire, kinds, state
from tests.support.servers import recorded, require_server


@pytest.fixture
def server(own_state: Path) -> Iterator[Broker]:
    """A private PostgreSQL of the test's own."""
    require_server("postgres")
    with acquire(["postgres"], provider="native", install=False) as fleet:
        yield fleet.brokers["postgres"]


def segments() -> list[str]:
    """Return the System V shared memory of this machine that others see."""
    return Path("/proc/sysvipc/shm").read_text().splitlines()[1:]


def test_its_data_is_there_after_a_kill_and_a_client_does_not_delay_its_end(server: Broker) -> None:
    before = segments()
    with psycopg.connect(server.url, autocommit=True) as link:
        link.execute("CREATE TABLE kept AS SELECT 7 AS number")
    server.kill()
    server.restart()
    waiting = psycopg.connect(server.url, autocommit=True)
    assert waiting.execute("SELECT number FROM kept").fetchall() == [(7,)]
    server.shut_down()
    ((folder, _),) = list(state.records())
    assert "database system is shut down" in (folder / "server.log").read_text(), "it was not killed"
    with pytest.raises(psycopg.OperationalError):
        waiting.execute("SELECT 1")
    waiting.close()
    server.kill()
    assert [line for line in segments() if line not in before] == []


def test_it_is_the_process_that_the_lab_started_and_not_root_to_itself(server: Broker) -> None:
    (leader,) = recorded()
    assert psutil.Process(leader.pid).name() == "postgres"
    if os.geteuid() == 0:
        users = Path(f"/proc/{leader.pid}/uid_map").read_text().split()
        assert users[0] != "0"


def test_names_of_killed_runs_are_removed_and_no_others(server: Broker) -> None:
    kind = kinds.get("postgres")
    with psycopg.connect(server.url, autocommit=True) as link:
        for name in ("ipclab:a:1:messages", "ipclab:a:2:messages", "theirs"):
            link.execute(f'CREATE TABLE "{name}" (number int)')
    assert kind.remove(server.url, ["ipclab:a:1"]) == 1
    assert kind.names(server.url) == {"ipclab:a:2:messages", "theirs"}
