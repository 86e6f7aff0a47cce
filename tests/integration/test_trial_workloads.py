"""A trial of every workload, over real processes and real servers, from its spec to its record."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant, channel_class, counter_class
from ipclab.brokers import Broker
from ipclab.trial import meter, runner
from ipclab.trial.pacing import planned
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]

BrokerOf = Callable[[BrokerKind], Broker]
CHANNELS = ("queue", "pipe", "manager-queue", "redis-list", "redis-stream", "rabbitmq", "memcached-ticket")
COUNTERS = ("value", "queue", "pipe", "manager-dict:discipline=locked", "redis", "memcached", "rabbitmq")


def play(broker_of: BrokerOf, backend: str, workload: str, **settings: Any) -> TrialRecord:
    variant = Variant.parse(backend)
    kind = (counter_class if workload == "counter" else channel_class)(variant).broker
    spec = TrialSpec(
        **{
            "workload": workload,
            "backend": variant,
            "size_bytes": 256,
            "warmup_s": 0.05,
            "duration_s": 0.25,
            "drain_s": 1.0,
            **settings,
        }
    )
    namespace = f"ipclab:test-{secrets.token_hex(4)}"
    record = run_trial(spec, namespace=namespace, broker=broker_of(kind) if kind else None)
    assert (record.outcome, record.reason) == ("finished", "")
    return record


def assert_all_arrived(record: TrialRecord) -> None:
    ledger = record.ledger
    assert ledger is not None
    assert (ledger.verdict, ledger.broken) == ("valid", [])
    assert ledger.attempted == ledger.confirmed == ledger.received > 0
    assert record.rate_per_s


@pytest.mark.parametrize("backend", CHANNELS)
def test_a_stream_carries_every_message_and_says_what_it_cost(
    broker_of: BrokerOf, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A reading that is late is withheld, and on a busy machine it is: tests/unit/trial/test_trial_meter.py.
    monkeypatch.setattr(meter, "SLACK_NS", 60 * 10**9)
    monkeypatch.setattr(runner._Trial, "_read_in_time", lambda *_: True)

    record = play(broker_of, backend, "stream", duration_s=1.0)

    assert_all_arrived(record)
    assert record.cost is not None
    assert {worker.name for worker in record.cost.workers} == {"producer-0", "consumer-0"}
    assert all(worker.cpu_s is not None and worker.peak_rss_bytes for worker in record.cost.workers)
    assert (record.cost.broker_cpu_s is None) == (backend in ("queue", "pipe"))


@pytest.mark.parametrize("backend", ["queue", "redis-list", "rabbitmq"])
def test_a_stream_of_several_producers_and_consumers_carries_every_message(
    broker_of: BrokerOf, backend: str
) -> None:
    assert_all_arrived(play(broker_of, backend, "stream", producers=3, consumers=2))


@pytest.mark.parametrize("backend", ["redis-stream", "rabbitmq", "memcached-ticket"])
def test_a_stream_in_windows_carries_every_message(broker_of: BrokerOf, backend: str) -> None:
    assert_all_arrived(play(broker_of, backend, "stream", window=20))


def test_with_fan_out_every_consumer_is_owed_every_message(broker_of: BrokerOf) -> None:
    record = play(broker_of, "redis-pubsub", "stream", consumers=3)

    assert record.ledger is not None
    assert record.ledger.owed == 3 * record.ledger.confirmed == record.ledger.received


@pytest.mark.parametrize("backend", CHANNELS)
def test_a_paced_trial_keeps_its_rate_and_tells_all_four_latencies(broker_of: BrokerOf, backend: str) -> None:
    record = play(broker_of, backend, "paced", rate_per_s=200.0, duration_s=0.4)

    assert_all_arrived(record)
    latency = record.latency
    for distribution in (latency.send, latency.confirm, latency.end_to_end, latency.service):
        assert distribution is not None
        assert distribution.count > 0
        assert distribution.negative == 0


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_two_paced_producers_share_the_rate(broker_of: BrokerOf, arrivals: str) -> None:
    record = play(
        broker_of, "queue", "paced", producers=2, rate_per_s=1000.0, arrivals=arrivals, duration_s=0.4
    )

    assert record.ledger is not None
    wanted = 1000.0 * (record.spec.warmup_s + record.spec.duration_s)
    # A busy machine skips what it could not send in time, and says so.
    assert 0.6 * wanted < record.ledger.attempted + record.latency.skipped_sends < 1.4 * wanted


@pytest.mark.parametrize(("backend", "window"), [("queue", 1), ("redis-list", 20)])
@pytest.mark.parametrize("arrivals", ["constant", "burst:10"])
def test_paced_producers_offer_their_schedule_in_batches_too(
    broker_of: BrokerOf, backend: str, window: int, arrivals: str
) -> None:
    record = play(
        broker_of, backend, "paced", producers=2, window=window, rate_per_s=1000.0, arrivals=arrivals
    )

    assert_all_arrived(record)
    offered = sum(len(planned(record.spec, producer)) for producer in range(2))
    assert record.ledger is not None
    assert record.ledger.attempted <= offered
    # What a busy machine could not send in time is skipped; only that of the window is counted.
    if record.latency.skipped_sends == 0:
        assert record.ledger.attempted == offered == 300


@pytest.mark.parametrize("backend", CHANNELS)
def test_a_ping_pong_brings_every_message_back(broker_of: BrokerOf, backend: str) -> None:
    record = play(broker_of, backend, "ping-pong")

    assert_all_arrived(record)
    assert record.latency.round_trip is not None
    assert record.latency.round_trip.min_ns > 0


@pytest.mark.parametrize("backend", COUNTERS)
def test_a_safe_counter_shows_every_increment(broker_of: BrokerOf, backend: str) -> None:
    record = play(broker_of, backend, "counter", producers=3)

    counter = record.counter
    assert counter is not None
    assert (counter.verdict, counter.lost, counter.phantom) == ("valid", 0, 0)
    assert counter.final == counter.confirmed == counter.attempted > 0
    assert record.latency.update is not None


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("backend", ["queue", "manager-queue", "redis-stream"])
def test_workers_of_every_start_method_play_their_roles(
    broker_of: BrokerOf, backend: str, start_method: str
) -> None:
    record = play(broker_of, backend, "stream", start_method=start_method)

    assert_all_arrived(record)
    assert record.spec.start_method == start_method


def test_a_record_names_its_server_without_the_password(broker_of: BrokerOf) -> None:
    record = play(broker_of, "redis-list", "stream")

    broker = broker_of("redis")
    assert record.broker is not None
    assert (record.broker.kind, record.broker.version) == ("redis", broker.version)
    assert record.broker.url == broker.masked_url


@pytest.mark.parametrize(
    ("backend", "settings"),
    [
        ("redis-stream", {"payload": "dict", "codec": "json", "size_bytes": 2048, "window": 20}),
        ("redis-list", {"payload": "ndarray:float64", "codec": "pickle5", "size_bytes": 2**20}),
        ("rabbitmq", {"payload": "dataclass", "codec": "msgpack", "size_bytes": 4096, "consumers": 2}),
        ("memcached-ticket", {"payload": "ndarray:uint8", "codec": "shm", "size_bytes": 4 * 2**20}),
    ],
    ids=lambda value: value if isinstance(value, str) else value["codec"],
)
def test_a_broker_carries_payloads_by_every_codec(
    broker_of: BrokerOf, backend: str, settings: dict[str, Any]
) -> None:
    record = play(broker_of, backend, "stream", **settings)
    assert_all_arrived(record)
    assert record.serialising is not None
    assert record.segments_left == 0
