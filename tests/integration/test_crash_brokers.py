"""The fault matrix on native servers: what each mode loses, what it keeps, and that nothing is left there."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pika
import psutil
import pytest

from ipclab.backends.base import BrokerKind, Site
from ipclab.backends.rabbitmq.channels import RabbitmqChannel
from ipclab.backends.redis.client import connect
from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import Broker, probe
from ipclab.brokers.url import UrlBroker
from ipclab.conform import observers
from ipclab.host import stillness
from ipclab.trial.record import Safety
from ipclab.trial.strike import AT_REST
from tests.conftest import BrokerOf
from tests.support.crashes import NAMESPACE, play, play_order, safety_of

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("nothing_left")]

AOF = {"appendonly": "yes", "appendfsync": "always"}
EVICTING = {"maxmemory-policy": "allkeys-lru"}
RESTING = 2 * AT_REST
HANDED_OVER = 2
"""Of what rests, each consumer may have got one before it stood still."""

Played = Callable[..., Safety]


@pytest.fixture
def played(private_broker_of: BrokerOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """Plays a cell on a server of this module's own, and sees that the server is as before."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def on(backend: str, words: str, **settings: Any) -> Safety:
        kind = channel_class(Variant.parse(backend)).broker
        assert kind is not None
        broker = private_broker_of(kind)
        before = redis_settings(broker)
        safety = safety_of(play(backend, words, broker, **settings))
        assert observers.names(kind, broker.url, NAMESPACE) == set()
        assert redis_settings(broker) == before
        assert not list(tmp_path.glob("ipclab-*"))
        return safety

    return on


def redis_settings(broker: Broker) -> Mapping[str, str]:
    """What trials may change."""
    if broker.kind != "redis":
        return {}
    with connect(broker.url) as client:
        found = client.config_get("*")
    return {name: str(found[name]) for name in ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync")}


def is_kept(safety: Safety) -> bool:
    """Whether the fault struck, and every confirmed message came in the end, whole."""
    wrong = ("lost", "undelivered", "corrupted", "unexpected", "received_before_sent")
    assert safety.finding == ""
    assert not safety.hung
    assert not safety.gave_up
    return safety.verdict == "valid" and not any(safety.counts.get(name, 0) for name in wrong)


def test_what_rests_in_a_redis_that_is_killed_is_lost(played: Played) -> None:
    safety = played("redis-list", "kill broker, idle")

    assert RESTING - HANDED_OVER <= safety.counts["lost"] <= RESTING
    assert (safety.verdict, safety.hung, safety.gave_up) == ("valid", {}, {})


@pytest.mark.parametrize("backend", ["redis-list", "redis-stream"])
def test_what_is_in_the_append_only_file_outlives_the_process(backend: str, played: Played) -> None:
    assert is_kept(played(backend, "kill broker, idle", broker_settings=AOF))


@pytest.mark.parametrize("backend", ["redis-list-reliable", "redis-stream"])
def test_what_a_consumer_had_not_acknowledged_when_it_was_killed_comes_to_another(
    backend: str, played: Played
) -> None:
    assert is_kept(played(backend, "kill consumer, mid-message"))


@pytest.mark.parametrize("words", ["kill consumer, mid-message", "drop-reply consumer, busy"])
def test_what_was_popped_for_a_consumer_that_did_not_get_it_is_lost(words: str, played: Played) -> None:
    safety = played("redis-list", words)

    assert (safety.counts["lost"], safety.verdict, safety.broken) == (1, "valid", [])


def test_a_message_whose_confirmation_was_dropped_arrives_and_was_not_confirmed(played: Played) -> None:
    safety = played("redis-list", "drop-reply producer, busy")

    assert is_kept(safety)
    assert (safety.counts["indefinite"], safety.counts["recovered"]) == (1, 1)


@pytest.mark.parametrize(
    ("words", "unknown"), [("cut producer, busy", 1), ("cut broker, idle", 2), ("pause broker, busy", 0)]
)
def test_confirmed_messages_outlive_a_line_that_is_cut_and_a_server_that_is_paused(
    words: str, unknown: int, played: Played
) -> None:
    safety = played("redis-stream", words)

    assert is_kept(safety)
    assert safety.counts["indefinite"] == unknown
    if words.endswith("busy"):
        assert safety.first_again_s is not None


def test_a_full_redis_refuses_what_it_has_no_room_for_and_keeps_the_rest(played: Played) -> None:
    safety = played("redis-list", "fill-memory broker, busy")

    assert is_kept(safety)
    assert safety.counts["indefinite"] > 0


def test_a_full_redis_that_may_evict_loses_what_it_has_confirmed(played: Played) -> None:
    safety = played("redis-list", "fill-memory broker, busy", broker_settings=EVICTING)

    assert safety.counts["lost"] > 0
    assert (safety.counts["indefinite"], safety.verdict) == (0, "valid")


def test_processes_end_with_an_error_when_a_memcached_has_forgotten_its_tickets(played: Played) -> None:
    safety = played("memcached-ticket", "kill broker, busy")

    assert safety.gave_up.keys() == {"producer-0", "producer-1", "consumer-0", "consumer-1"}
    assert all("no longer has" in error for error in safety.gave_up.values())
    assert safety.counts["undelivered"] >= AT_REST


def test_a_memcached_that_is_full_evicts_what_it_has_confirmed(played: Played) -> None:
    safety = played("memcached-ticket:patience_ms=300", "fill-memory broker, busy", drain_s=0.3)

    assert safety.counts["lost"] > 0
    assert safety.verdict == "valid"


def test_a_hole_in_the_tickets_of_memcached_costs_one_message(played: Played) -> None:
    safety = played("memcached-ticket:patience_ms=300", "kill consumer, idle", drain_s=0.3)

    assert (safety.counts["lost"], safety.verdict) == (1, "valid")


@pytest.mark.slow
def test_a_killed_rabbitmq_keeps_persistent_messages_and_loses_transient_ones(
    played: Played, private_broker_of: BrokerOf
) -> None:
    # To kill and start it takes long, so that both are in it at once.
    url = private_broker_of("rabbitmq").url
    site = Site(namespace="ipclab:transient-test", url=url)
    transient = RabbitmqChannel(site, delivery="transient")
    transient.setup()
    try:
        with contextlib.closing(transient.producer(0)) as producer:
            producer.send(b"confirmed")
        assert messages_in(url, transient.queue) == 1

        persistent = played("rabbitmq", "kill broker, idle")

        assert is_kept(persistent)
        assert messages_in(url, transient.queue) == 0
    finally:
        transient.teardown()


def messages_in(url: str, queue: str) -> int:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


def test_what_was_acknowledged_by_itself_is_lost_with_its_line_and_by_hand_it_is_not(played: Played) -> None:
    auto, manual = (played(f"rabbitmq:ack={ack}", "cut consumer, busy") for ack in ("auto", "manual"))

    assert auto.counts["lost"] > 10
    assert auto.verdict == "valid"
    assert is_kept(manual)


def test_a_quorum_queue_hands_on_what_a_killed_consumer_had(played: Played) -> None:
    assert is_kept(played("rabbitmq-quorum", "kill consumer, mid-message"))


def test_an_alarm_of_rabbitmq_blocks_publishers_and_loses_nothing(played: Played) -> None:
    safety = played("rabbitmq", "fill-memory broker, busy")

    assert is_kept(safety)
    assert safety.counts["indefinite"] == 0


HARM = ["kill broker, busy", "pause broker, idle", "restart broker, idle", "fill-memory broker, busy"]
NO_HARM = ["kill consumer, busy", "pause producer, busy", "cut broker, busy", "drop-reply consumer, busy"]


@pytest.fixture
def not_ours(private_broker_of: BrokerOf) -> Callable[[BrokerKind], Broker]:
    """A server as it is known by its address alone."""

    def find(kind: BrokerKind) -> Broker:
        broker = private_broker_of(kind)
        return UrlBroker(kind, broker.url, broker.version, "SOME_URL")

    return find


@pytest.mark.parametrize("words", HARM)
def test_no_server_is_harmed_that_is_not_ours(words: str, not_ours: BrokerOf) -> None:
    broker = not_ours("redis")
    record = play("redis-list", words, broker)

    assert record.outcome == "finished"
    assert record.safety is not None
    assert "not started by the lab" in record.safety.refused
    assert "--provider" in record.safety.refused
    assert record.guarantees["delivery"] == "at-most-once"
    assert broker.url not in record.safety.refused
    assert probe.version("redis", broker.url)


def test_no_server_is_set_anew_that_is_not_ours(not_ours: BrokerOf) -> None:
    record = play("redis-list", "kill consumer, busy", not_ours("redis"), broker_settings=AOF)

    assert record.safety is not None
    assert "was not started by the lab" in record.safety.refused


@pytest.mark.parametrize("words", NO_HARM)
def test_workers_and_lines_are_harmed_before_any_server(words: str, not_ours: BrokerOf) -> None:
    broker = not_ours("redis")

    safety = safety_of(play("redis-stream", words, broker))

    assert (safety.verdict, safety.broken, safety.finding) == ("valid", [], "")
    assert observers.names("redis", broker.url, NAMESPACE) == set()


@pytest.mark.parametrize(
    "words", ["cut consumer, busy", "drop-reply producer, busy", "kill consumer, mid-message"]
)
def test_where_no_proxy_can_stand_the_line_is_left_alone_and_the_run_goes_on(
    words: str, private_broker_of: BrokerOf
) -> None:
    url = private_broker_of("redis").url.replace("redis://", "rediss://")

    record = play("redis-list", words, UrlBroker("redis", url, "7", "REDIS_URL"))

    assert record.safety is not None
    assert "rediss://" in record.safety.refused


@pytest.mark.parametrize("scenario", ["stress", "forced"])
def test_a_stream_keeps_the_order_of_each_producer(scenario: str, private_broker_of: BrokerOf) -> None:
    broker = private_broker_of("redis")

    safety = safety_of(play_order("redis-stream", scenario, broker))

    assert (safety.verdict, safety.counts["reordered"], safety.counts["lost"]) == ("valid", 0, 0)
    assert observers.names("redis", broker.url, NAMESPACE) == set()


def test_a_server_that_was_paused_runs_again(private_broker_of: BrokerOf) -> None:
    broker = private_broker_of("redis")

    safety_of(play("redis-list", "pause broker, idle", broker))

    assert psutil.Process(int(broker.where.removeprefix("pid "))).status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize(
    ("method", "words"), [("kill", "kill broker, idle"), ("pause", "pause broker, idle")]
)
def test_a_fault_that_did_not_take_effect_shows_nothing(
    method: str, words: str, private_broker_of: BrokerOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = private_broker_of("redis")
    monkeypatch.setattr(type(broker), method, lambda _self: None)
    # To start it again is part of healing, and would end it too.
    monkeypatch.setattr(type(broker), "restart", lambda _self: None)
    monkeypatch.setattr(stillness, "STATE_WITHIN_S", 0.1)
    monkeypatch.setattr(stillness.all_stopped, "__defaults__", (0.1,))

    safety = safety_of(play("redis-list", words, broker, drain_s=0.2))

    assert (safety.verdict, safety.finding) == ("unknown", "the fault may not have taken effect")


HONEST = (
    "redis-stream",
    "redis-list-reliable",
    "rabbitmq:ack=manual,confirm=publisher,delivery=persistent",
    "rabbitmq-quorum",
)


@pytest.mark.parametrize("moment", ["idle", "busy", "working"])
@pytest.mark.parametrize("backend", HONEST)
def test_what_a_killed_consumer_had_received_and_not_acknowledged_comes_again(
    backend: str, moment: str, played: Played
) -> None:
    safety = played(backend, f"kill consumer, {moment}")

    assert is_kept(safety)
    assert safety.counts["unacknowledged"] == 0
    assert safety.counts["duplicated"] >= 1
