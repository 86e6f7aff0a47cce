"""Scenarios of redis-py, pymemcache and pika on real servers: as they come they err, set right they do not.

Nothing is left on the server."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

from ipclab.backends.base import BrokerKind
from ipclab.backends.redis.client import connect
from ipclab.brokers import Broker
from ipclab.brokers.url import UrlBroker
from ipclab.checks import check
from ipclab.conform import observers
from ipclab.history import read
from ipclab.trial.client import SCENARIOS
from ipclab.trial.record import Safety
from tests.conftest import BrokerOf
from tests.support.clients import NAMESPACE, defaults, play, safety_of

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]

KIND_OF: dict[str, BrokerKind] = {
    "redis": "redis",
    "redis-list": "redis",
    "memcached": "memcached",
    "rabbitmq": "rabbitmq",
}
SCENARIOS_OF_BROKERS = defaults(*KIND_OF)
UNHARMED = [name for name in SCENARIOS_OF_BROKERS if SCENARIOS[name].needs not in ("pause", "settings")]
ERRS = ("connections-used-up", "heartbeat-missed")
"""Of these the history may be in order: the program got an error for a right use."""
MOMENT_S = 30.0


Played = Callable[[str], tuple[Safety, Path]]


@pytest.fixture(scope="module")
def played(private_broker_of: BrokerOf, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """What a scenario shows on a server of this module's own, and its history; nothing is left on the server.

    It is played when it is first asked for.
    """
    folder = tmp_path_factory.mktemp("histories")

    @functools.cache
    def once(name: str) -> tuple[Safety, Path]:
        kept = folder / f"{name}.jsonl.gz"
        broker = private_broker_of(KIND_OF[SCENARIOS[name].backend])
        safety = safety_of(play(name, broker, history=kept))
        assert observers.names(broker.kind, broker.url, "ipclab:") == set()
        return safety, kept

    return once


@pytest.mark.parametrize("name", SCENARIOS_OF_BROKERS)
def test_a_library_as_it_comes_errs(played: Played, name: str) -> None:
    safety, _ = played(name)

    assert safety.shown, safety.finding
    assert safety.verdict == "valid", "nobody declares that it does not"
    assert safety.anomalies or safety.hung or name in ERRS


@pytest.mark.parametrize("name", SCENARIOS_OF_BROKERS)
def test_a_library_that_is_set_right_does_not(played: Played, name: str) -> None:
    safety, _ = played(SCENARIOS[name].fix)

    assert safety.shown is False, safety.finding
    assert safety.verdict == "valid"
    assert not safety.anomalies
    assert not safety.hung


@pytest.mark.parametrize("name", ["retry-increment", "noreply-add", "unroutable"])
def test_the_history_that_is_kept_gives_the_same_anomalies_again(played: Played, name: str) -> None:
    safety, kept = played(name)

    again = check(read(kept))
    assert again.verdict == "invalid"
    assert again.anomalies == safety.anomalies


def test_one_increment_that_is_sent_again_is_carried_out_twice_by_the_server(
    played: Played,
) -> None:
    safety, _ = played("retry-increment")

    assert safety.counts["added"] == 1
    assert safety.counts["value"] == safety.counts["executed"] == 2
    assert safety.anomalies == {"phantom": 1}
    for line in ("program: add 1", "server: read → 2", 'drop-reply "program"'):
        assert line in safety.counterexample


def test_one_increment_without_retries_is_carried_out_once(played: Played) -> None:
    safety, _ = played("retry-increment-set-right")

    assert safety.counts["value"] == safety.counts["executed"] == 1
    assert "raised ConnectionError" in safety.finding


def test_an_increment_is_carried_out_again_after_a_pause_of_the_server(played: Played) -> None:
    safety, _ = played("retry-paused")

    assert safety.counts["value"] == safety.counts["executed"] > 1
    assert 'pause "broker"' in safety.counterexample


def test_a_refused_value_is_in_the_statistics_of_the_server(played: Played) -> None:
    safety, _ = played("noreply-set")

    assert safety.counts["refused"] == 1
    assert "returned True" in safety.finding


def test_a_pool_that_is_used_up_has_not_asked_the_server(played: Played) -> None:
    safety, _ = played("connections-used-up")

    assert safety.counts["value"] == 0
    assert "ConnectionError" in safety.finding or "MaxConnectionsError" in safety.finding


def test_a_message_that_is_acknowledged_too_late_comes_again(played: Played) -> None:
    safety, _ = played("acknowledged-late")

    assert safety.counts["again"] == 1
    assert "ChannelWrongStateError" in safety.finding


def test_a_message_whose_work_the_limit_allows_is_acknowledged_and_does_not_come_again(
    played: Played,
) -> None:
    safety, _ = played("acknowledged-late-set-right")

    assert safety.counts["again"] == 0
    assert "its acknowledgement was taken" in safety.finding


def test_a_program_that_missed_its_heartbeats_learns_so_by_a_publish_and_its_messages_are_not_there(
    played: Played,
) -> None:
    safety, kept = played("heartbeat-missed")

    assert safety.counts["found"] == 0
    assert "StreamLostError" in safety.finding
    sends = [op for op in map(read(kept).operation, range(len(read(kept)))) if op.f == "send"]
    assert sends[-1].outcome == "info"


def test_a_program_that_serves_its_connection_while_it_is_busy_publishes_all(played: Played) -> None:
    safety, kept = played("heartbeat-missed-set-right")

    assert safety.counts["found"] == 3
    assert "3 of 3 publishes returned" in safety.finding
    assert "raised" not in safety.finding
    assert check(read(kept)).verdict == "valid"


def test_a_call_without_a_time_out_is_told_by_its_name(played: Played) -> None:
    safety, _ = played("silent-server")

    assert safety.hung == {"program": "get() in pymemcache/client/base.py, waiting in _recv"}


@pytest.fixture
def not_ours(private_broker_of: BrokerOf) -> BrokerOf:
    """The servers of this module as those of somebody else, named by a URL."""

    def find(kind: BrokerKind) -> Broker:
        broker = private_broker_of(kind)
        return UrlBroker(kind, broker.url, broker.version, f"{kind.upper()}_URL")

    return find


@pytest.mark.parametrize("name", ["retry-paused", "retry-paused-set-right"])
def test_a_server_that_is_not_ours_is_not_paused(
    private_broker_of: BrokerOf, not_ours: BrokerOf, name: str
) -> None:
    server = psutil.Process(int(private_broker_of("redis").where.removeprefix("pid ")))
    with connect(private_broker_of("redis").url) as client:
        before = client.info("commandstats")

        safety = safety_of(play(name, not_ours("redis")))

        assert client.info("commandstats").keys() == before.keys()
    assert "did not start" in safety.refused
    assert "\n" not in safety.refused
    assert "password" not in safety.refused
    assert (safety.verdict, safety.shown, safety.finding, safety.counts) == ("valid", None, "", {})
    assert server.status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize("name", UNHARMED)
def test_scenarios_without_harm_are_played_on_a_server_that_is_not_ours(
    not_ours: BrokerOf, name: str
) -> None:
    safety = safety_of(play(name, not_ours(KIND_OF[SCENARIOS[name].backend])))

    assert not safety.refused
    assert safety.shown


def test_an_address_that_no_proxy_can_stand_before_is_refused(private_broker_of: BrokerOf) -> None:
    url = private_broker_of("redis").url.replace("redis://", "rediss://")

    safety = safety_of(play("retry-increment", UrlBroker("redis", url, "7", "REDIS_URL")))

    assert "rediss://" in safety.refused


Ended = Callable[[str, Broker, Callable[[], bool]], None]


@pytest.fixture
def interrupted() -> Iterator[Ended]:
    """Plays a scenario in another process, interrupts it (Ctrl-C) at a moment, and waits for its end."""
    started: list[BaseProcess] = []

    def at(name: str, broker: Broker, moment: Callable[[], bool]) -> None:
        process = multiprocessing.get_context("fork").Process(
            target=_play_until_interrupted, args=(name, broker)
        )
        process.start()
        started.append(process)
        assert process.pid is not None
        deadline = time.monotonic() + MOMENT_S
        while not moment():
            assert process.is_alive(), "ended before the moment came"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGINT)
        process.join(MOMENT_S)
        assert process.exitcode == 130

    yield at
    for process in started:
        process.kill()
        process.join()


def _play_until_interrupted(name: str, broker: Broker) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        # Again and again: one trial may be over before the one who saw its moment can interrupt it.
        while True:
            play(name, broker)
    os._exit(130)


def test_a_paused_server_goes_on_and_keeps_no_key_when_the_trial_is_interrupted(
    private_broker_of: BrokerOf, interrupted: Ended
) -> None:
    broker = private_broker_of("redis")
    server = psutil.Process(int(broker.where.removeprefix("pid ")))

    interrupted("retry-paused", broker, lambda: server.status() == psutil.STATUS_STOPPED)

    assert server.status() != psutil.STATUS_STOPPED
    assert observers.names("redis", broker.url, NAMESPACE) == set()


def test_a_list_is_deleted_when_the_trial_is_interrupted(
    private_broker_of: BrokerOf, interrupted: Ended
) -> None:
    broker = private_broker_of("redis")

    interrupted("retry-pop", broker, lambda: bool(observers.names("redis", broker.url, NAMESPACE)))

    assert observers.names("redis", broker.url, NAMESPACE) == set()
