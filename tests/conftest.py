"""Fixtures of all tests: servers, one a session and a kind, and the proof that nothing is left behind.

Servers are those that REDIS_URL, RABBITMQ_URL and MEMCACHED_URL name, else private ones of this machine, or
whatever IPCLAB_TEST_PROVIDER (url, compose, native) says. A server that cannot be had skips the tests that
need it and no others, with the reason and how to get it; with CI=true it fails them.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# So that worker processes can import what tests share, whatever their start method.
sys.path.insert(0, str(Path(__file__).parents[1]))

from ipclab.backends.base import BrokerKind
from ipclab.brokers import KINDS, Broker, Fleet, stand_ins
from ipclab.brokers.kinds import listening
from ipclab.conform import observers
from ipclab.conform.leftovers import no_process_left
from ipclab.host.language import preferred
from tests.support.schemas import problems_below
from tests.support.servers import list_queues, obtain, obtain_private

BrokerOf = Callable[[BrokerKind], Broker]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``pytest tests/conformance --backend NAME``: only this backend, of this package or another."""
    parser.addoption(
        "--backend",
        action="append",
        default=[],
        metavar="NAME[:OPTION=VALUE,…]",
        help="conformance tests: only this backend, in all its modes unless options are set; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    r"""A shell that starts the suite in the background has it ignore Ctrl-C and Ctrl-\, and so would all that
    the tests start and interrupt.

    Workers of pytest-xdist have a second thread, which waits for orders and holds no lock that a child needs.
    Python 3.12 warns of each fork beside it. Without xdist the warning is an error, as all others are.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.addinivalue_line(
            "filterwarnings", r"ignore:This process \(pid=\d+\) is multi-threaded:DeprecationWarning"
        )
    if preferred() != "en":
        os.environ["LC_ALL"] = "C.UTF-8"  # what is shown is compared in English
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that have a slow test first: the one that lasts longest must not be the last to start."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _stored_files_follow_their_schemas(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every result, history and run of claims that a test leaves in its folder follows its schema."""
    yield
    folder = request.node.funcargs.get("tmp_path")
    if folder is not None:
        assert problems_below(folder) == []


@pytest.fixture(autouse=True)
def _servers_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test begins with, or leaves, what ``--server`` and ``--listen`` put into the environment."""
    for variable in (stand_ins.VARIABLE, listening.VARIABLE):
        # The first call makes pytest restore the variable, also where it is not set now.
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder whose path is short enough for the sockets that multiprocessing makes below it."""
    top = os.environ.get("TMPDIR", "/tmp")
    with tempfile.TemporaryDirectory(dir=top, prefix="il-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def redis_broker() -> Iterator[Broker]:
    """A Redis server."""
    with obtain("redis") as fleet:
        yield fleet.brokers["redis"]


@pytest.fixture(scope="session")
def memcached_broker() -> Iterator[Broker]:
    """A memcached server."""
    with obtain("memcached") as fleet:
        yield fleet.brokers["memcached"]


@pytest.fixture(scope="session")
def rabbitmq_broker() -> Iterator[Broker]:
    """A RabbitMQ server; at the end of the session it holds no queue of the lab any more."""
    with obtain("rabbitmq") as fleet, observers.watching():
        broker = fleet.brokers["rabbitmq"]
        yield broker
        left = [queue for queue in list_queues(broker) if queue.startswith("ipclab:")]
    assert not left, f"queues left on RabbitMQ: {left}"


@pytest.fixture(scope="session")
def foreign_broker_of() -> Iterator[BrokerOf]:
    """Servers of the kinds that other packages bring; started when they are first asked for."""
    fleets: dict[BrokerKind, Fleet] = {}

    def find(kind: BrokerKind) -> Broker:
        if kind not in fleets:
            fleets[kind] = obtain(kind)
        return fleets[kind].brokers[kind]

    yield find
    for fleet in fleets.values():
        fleet.close()


@pytest.fixture
def broker_of(request: pytest.FixtureRequest) -> BrokerOf:
    """The server of a kind, started when it is first asked for."""

    def find(kind: BrokerKind) -> Broker:
        if kind not in KINDS:
            foreign: BrokerOf = request.getfixturevalue("foreign_broker_of")
            return foreign(kind)
        broker = request.getfixturevalue(f"{kind}_broker")
        assert isinstance(broker, Broker)
        return broker

    return find


@pytest.fixture(scope="module")
def private_broker_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerOf]:
    """Servers of a module's own, which it may kill and empty; started when they are first asked for."""
    fleets: dict[BrokerKind, Fleet] = {}

    def find(kind: BrokerKind) -> Broker:
        if kind not in fleets:
            fleets[kind] = obtain_private(kind, tmp_path_factory.mktemp("state"))
        return fleets[kind].brokers[kind]

    with observers.watching():
        yield find
        for fleet in fleets.values():
            fleet.close()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """After the test no process that it started runs."""
    with no_process_left():
        yield
