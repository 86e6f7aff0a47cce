"""What a server says of itself is stored, classified by, and refused beforehand where no run can use it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ipclab import lab, readiness
from ipclab.backends.base import Guarantees, Site
from ipclab.backends.memcached import client as memcached_client
from ipclab.backends.redis import client as redis_client
from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import Broker, kinds
from ipclab.brokers.kinds.rabbitmq import probe as rabbitmq_probe
from ipclab.brokers.url import UrlBroker
from ipclab.conform.observers import names
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.experiment import Request, load
from ipclab.host.bounded_socket import Bounds
from ipclab.report import markdown
from ipclab.results.result import Result
from ipclab.results.rows.classes import guarantee_class
from ipclab.results.store import Store
from ipclab.trial import serving
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.conftest import BrokerOf
from tests.support import own_servers
from tests.support.own_servers import wait_until_it_answers
from tests.support.program import free_port
from tests.support.servers import forget_urls


class Quiet:
    def note(self, line: str) -> None: ...

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None: ...

    def finished(self, record: TrialRecord) -> None: ...


def run(tmp_path: Path, backend: str, *, may_evict: bool = False, size_bytes: int = 64) -> Result:
    """A short run of throughput, against the servers that the environment names."""
    request = Request(
        backends=(Variant.parse(backend),),
        producers=1,
        consumers=1,
        size_bytes=size_bytes,
        duration_s=0.3,
        warmup_s=0.1,
        repeats=1,
        window=1,
    )
    experiment = load("throughput")
    return lab.run(
        experiment,
        request,
        store=Store(tmp_path / "results"),
        observer=Quiet(),
        may_evict=may_evict,
        install=False,
    ).result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for servers and the state, with no server named by the environment."""
    forget_urls(monkeypatch)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(state))
    return tmp_path


UNUSABLE: dict[str, tuple[tuple[str, ...], str]] = {
    "cluster": (("--cluster-enabled", "yes"), "is a node of a cluster"),
    "replica": (("--replicaof", "127.0.0.1", "1"), "is a read-only replica of 127.0.0.1:1"),
    "full": (("--maxmemory", "1"), "is out of memory"),
    "full of clients": (("--maxclients", "3"), "more clients, but this run needs"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_redis_that_no_run_can_use_is_refused_beforehand_in_one_line(
    folder: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, says = UNUSABLE[what]
    if what == "cluster":
        # Its second port is 10 000 above the first one, unless it is told: there clients have theirs.
        settings = (*settings, "--cluster-port", str(free_port()))
    with own_servers.redis(folder, *settings) as port:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        monkeypatch.setenv("REDIS_URL", url)
        with pytest.raises(BrokerUnavailableError, match=says) as caught:
            run(folder, "redis-list")
        assert "\n" not in str(caught.value)
        assert not (folder / "results").exists() or not list((folder / "results").glob("throughput/*"))


def test_a_sentinel_is_refused_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_servers.redis(folder, sentinel=True) as port:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        monkeypatch.setenv("REDIS_URL", url)
        with pytest.raises(BrokerUnavailableError, match="is a Sentinel, which keeps no data"):
            run(folder, "redis-list")


@pytest.fixture
def restricted(folder: Path) -> Iterator[str]:
    """The URL of a user who may do on keys ipclab:* what the lists of the lab need, and nothing else."""
    rights = "on >Topsecret9 ~ipclab:* +rpush +blpop +unlink +multi +discard +ping +select"
    with own_servers.redis(folder) as port:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        with redis_client.connect(url) as client:
            client.execute_command("ACL", "SETUSER", "few", *rights.split())
        yield f"redis://few:Topsecret9@127.0.0.1:{port}/0"


def test_a_user_with_few_rights_is_used_for_what_they_suffice_for(
    folder: Path, restricted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", restricted)
    result = run(folder, "redis-list")
    (trial,) = result.trials
    assert (trial.outcome, trial.ledger and trial.ledger.verdict) == ("finished", "valid")
    assert result.brokers[0].settings["appendonly"] == "not told to this user"
    assert "Topsecret9" not in str(result)


def test_a_missing_permission_is_named_beforehand(
    folder: Path, restricted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", restricted)
    with pytest.raises(UsageError, match=r"redis-stream: .* no permission for XADD, .*XACK") as caught:
        run(folder, "redis-stream")
    assert "login" not in str(caught.value)


def test_what_a_redis_is_set_to_is_stored_and_decides_what_is_declared(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = {}
    cases = {
        "as it comes": (),
        "everysec": ("--appendonly", "yes"),
        "always": ("--appendonly", "yes", "--appendfsync", "always"),
        "evicts": ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
    }
    for name, settings in cases.items():
        home = folder / name.replace(" ", "-")
        home.mkdir()
        with own_servers.redis(home, *settings) as port:
            url = f"redis://127.0.0.1:{port}/0"
            wait_until_it_answers("redis", url)
            monkeypatch.setenv("REDIS_URL", url)
            result = run(home, "redis-stream")
        (trial,), (broker,) = result.trials, result.brokers
        titles[name] = guarantee_class(trial.guarantees).title
        assert broker.settings["appendonly"] == ("yes" if "yes" in settings else "no")
        assert broker.settings["mode"] == "standalone"
        assert broker.settings["acl"].startswith("+@all")
    assert titles == {
        "as it comes": "At least once, while the broker lives",
        "everysec": "At least once, survives an orderly restart of the broker but no crash",
        "always": "At least once, survives a broker restart",
        "evicts": "At least once, but overload may cost messages",
    }


def test_a_server_that_drops_items_meanwhile_excuses_a_loss_whatever_it_said_before(folder: Path) -> None:
    with own_servers.redis(folder) as port, ExitStack() as stack:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        broker = UrlBroker("redis", url, "7", "REDIS_URL")
        losses = serving.Losses(broker)
        client = stack.enter_context(redis_client.connect(url))
        for number in range(2000):
            client.set(f"other:{number}", bytes(1000))
        # The server does not say it beforehand: somebody sets it so while the trial runs.
        client.config_set("maxmemory-policy", "allkeys-random")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 500_000)
        client.set("other:last", bytes(1000))
        dropped = losses.so_far()
    assert dropped["evicted_keys"] > 0
    declared = serving.under(_declared("redis-stream"), broker, dropped=dropped)
    assert "overload" in declared.may_lose
    assert "overload" not in serving.under(_declared("redis-stream"), broker).may_lose


# pika leaves the socket of a connection that it could not close to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_rabbitmq_that_stops_answering_while_it_is_asked_is_left_soon(
    private_broker_of: BrokerOf,
) -> None:
    broker = private_broker_of("rabbitmq")

    def ask_while_it_is_paused() -> None:
        with rabbitmq_probe.connection(broker.url, 5.0, Bounds(1 << 20, within_s=5.0)) as connection:
            broker.pause()
            while True:  # what was on its way is answered, and then nothing
                connection.channel()

    try:
        with pytest.raises(BrokerUnavailableError, match="does not answer: no whole answer within"):
            ask_while_it_is_paused()
    finally:
        broker.resume()
    gc.collect()
    assert kinds.get("rabbitmq").version(broker.url, 5.0)


@pytest.mark.parametrize(
    ("policy", "most_lost"), [("volatile-lru", 0), ("allkeys-lru", 1000)], ids=["volatile", "allkeys"]
)
def test_evictions_by_a_policy_for_keys_with_a_time_to_live_excuse_no_loss(
    folder: Path, policy: str, most_lost: int
) -> None:
    with own_servers.redis(folder, "--maxmemory-policy", policy) as port, ExitStack() as stack:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        broker = UrlBroker("redis", url, "7", "REDIS_URL")
        broker.settings = kinds.get("redis").describe(broker).settings
        losses = serving.Losses(broker)
        client = stack.enter_context(redis_client.connect(url))
        for number in range(2000):
            client.set(f"other:{number}", bytes(1000), ex=1000)
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) - 500_000)
        client.set("other:last", bytes(1000))
        drops = losses.drops(_declared("redis-stream"), under_way=1000)
    assert drops is not None
    assert drops.items > 0
    assert drops.most_lost == most_lost * drops.items
    assert drops.explain(1) == (most_lost > 0)


def _declared(name: str) -> Guarantees:
    return channel_class(Variant(name))(Site(namespace="ipclab:x")).guarantees


def test_items_that_a_server_dropped_in_a_trial_stand_in_its_record_and_under_the_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_servers.memcached(folder, "-m", "2") as port:
        url = f"memcached://127.0.0.1:{port}"
        wait_until_it_answers("memcached", url)
        monkeypatch.setenv("MEMCACHED_URL", url)
        with closing(memcached_client.connect(url)) as client:
            for number in range(20_000):
                client.set(f"other:{number}", bytes(700))
        result = run(folder, "memcached-ticket", may_evict=True, size_bytes=700)
    (trial,) = result.trials
    assert trial.dropped["evictions"] > 0
    told = markdown.render(result)
    assert "dropped: the memcached server itself dropped items" in told
    assert "maxbytes=" in told
    assert "BROKE" not in told.partition("Verdict")[0]


def test_a_shared_memcached_that_is_full_stops_the_run_and_tells_how_many_items_it_would_drop(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_servers.memcached(folder, "-m", "2") as port:
        url = f"memcached://127.0.0.1:{port}"
        wait_until_it_answers("memcached", url)
        monkeypatch.setenv("MEMCACHED_URL", url)
        with closing(memcached_client.connect(url)) as client:
            for number in range(20_000):
                client.set(f"other:{number}", bytes(700))
            items, evicted = (int(client.stats()[name]) for name in (b"curr_items", b"evictions"))
            with pytest.raises(UsageError, match=rf"drop about \d+ of its {items} items.*--may-evict"):
                run(folder, "memcached-ticket", size_bytes=700)
            assert int(client.stats()[b"evictions"]) == evicted
            assert int(client.stats()[b"curr_items"]) == items


def test_the_data_of_a_run_are_sized_to_what_is_free_on_a_shared_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_servers.redis(folder) as port:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        with redis_client.connect(url) as client:
            client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 1_000_000)
        monkeypatch.setenv("REDIS_URL", url)
        result = run(folder, "redis-list", size_bytes=900)
    (trial,) = result.trials
    assert trial.outcome == "finished"
    assert readiness.LEAST_BACKLOG <= trial.spec.max_backlog <= 500


def test_a_question_for_its_state_leaves_nothing_on_a_server(broker_of: BrokerOf) -> None:
    for kind in ("redis", "memcached", "rabbitmq"):
        broker = broker_of(kind)
        before = names(kind, broker.url)
        state = kinds.get(kind).describe(broker)
        assert state.unusable == ""
        assert state.settings
        assert names(kind, broker.url) == before


def test_a_rabbitmq_with_an_alarm_is_refused_by_that_word(private_broker_of: BrokerOf) -> None:
    broker = private_broker_of("rabbitmq")
    with kinds.get("rabbitmq").squeezed(broker):
        state = kinds.get("rabbitmq").describe(_as_of_somebody_else(broker))
    assert "alarm" in state.unusable
    assert state.settings["blocked"] == "yes"


def test_a_user_of_rabbitmq_without_rights_is_told_which(private_broker_of: BrokerOf) -> None:
    broker = private_broker_of("rabbitmq")
    broker.execute("rabbitmqctl", "-q", "add_user", "few", "Topsecret9")
    broker.execute("rabbitmqctl", "-q", "set_permissions", "few", "^other:.*", "^other:.*", "^other:.*")
    port = kinds.get("rabbitmq").address(broker.url)[1]
    url = f"amqp://few:Topsecret9@127.0.0.1:{port}/%2F"
    state = kinds.get("rabbitmq").describe(UrlBroker("rabbitmq", url, "3", "AMQP_URL"))
    assert "denies this user a permission" in state.unusable
    assert "Topsecret9" not in state.unusable


def test_a_policy_of_rabbitmq_that_drops_messages_decides_what_is_declared(
    private_broker_of: BrokerOf,
) -> None:
    broker = private_broker_of("rabbitmq")
    kind = kinds.get("rabbitmq")
    plain = kind.describe(broker).settings
    assert plain["policies"] == "none"
    assert plain["default_queue_type"] == "classic"
    assert int(plain["consumer_timeout"]) > 0
    assert (plain["limits"], plain["blocked"]) == ("[]", "no")
    broker.execute("rabbitmqctl", "-q", "set_policy", "short", "^ipclab:", '{"max-length": 10}')
    try:
        broker.settings = kind.describe(broker).settings
        assert broker.settings["policies"] == "max-length=10"
        spec = TrialSpec(
            workload="stream",
            backend=Variant("rabbitmq-quorum"),
            size_bytes=64,
            producers=1,
            consumers=1,
            duration_s=0.3,
            warmup_s=0.1,
            start_method="fork",
        )
        record = run_trial(spec, namespace="ipclab:policy", broker=broker)
        assert "overload" in record.guarantees["may_lose"]  # type: ignore[operator]
        assert record.ledger is None or record.ledger.verdict != "invalid"
    finally:
        broker.execute("rabbitmqctl", "-q", "clear_policy", "short")
        broker.settings = {}


def _as_of_somebody_else(broker: Broker) -> Broker:
    return UrlBroker(broker.kind, broker.url, broker.version, "AMQP_URL")
