"""Every form of URL reaches its server: probe, adapters and scenarios make the same client of it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_plus

import pika.exceptions
import pytest

from ipclab.backends.memcached import client as memcached_client
from ipclab.backends.rabbitmq import connection as rabbitmq_connection
from ipclab.backends.redis import client as redis_client
from ipclab.brokers import kinds, outlook, probe
from ipclab.brokers.url import UrlBroker
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.faults.proxy.handle import Proxy, url_through
from tests.conftest import BrokerOf
from tests.support import own_servers
from tests.support.clients import play
from tests.support.own_servers import wait_until_it_answers
from tests.support.tls import certificate

PASSWORD = "Topsecret9"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("u")


@pytest.fixture(scope="module")
def redis_urls(folder: Path) -> Iterator[dict[str, str]]:
    """One Redis with a password, by every form of address."""
    found, key = certificate(folder)
    socket = Path(os.path.relpath(folder / "s")) if len(str(folder)) > 90 else folder / "s"
    tls_port = own_servers.ports.free_port()
    settings = (
        *("--requirepass", PASSWORD, "--unixsocket", str(socket), "--tls-port", str(tls_port)),
        *("--tls-cert-file", str(found), "--tls-key-file", str(key), "--tls-auth-clients", "no"),
        *("--bind", "127.0.0.1", "::1"),
    )
    with own_servers.redis(folder, *settings) as port:
        login = f":{PASSWORD}@"
        urls = {
            "plain": f"redis://{login}127.0.0.1:{port}/0",
            "another database": f"redis://{login}127.0.0.1:{port}/3",
            "IPv6": f"redis://{login}[::1]:{port}/0",
            "Unix socket": f"unix://{login}{socket}?db=2",
            "TLS": f"rediss://{login}localhost:{tls_port}/0?ssl_ca_certs={found}",
            "TLS without a check": f"rediss://{login}127.0.0.1:{tls_port}/1?ssl_cert_reqs=none",
            "options of a program": f"redis://{login}127.0.0.1:{port}/0?protocol=3&decode_responses=true"
            "&health_check_interval=30&socket_timeout=5&max_connections=1",
        }
        wait_until_it_answers("redis", urls["plain"])
        yield urls


FORMS = [
    "plain",
    "another database",
    "IPv6",
    "Unix socket",
    "TLS",
    "TLS without a check",
    "options of a program",
]


@pytest.mark.parametrize("form", FORMS)
def test_probe_adapter_and_scenario_reach_the_same_redis_by_every_form_of_url(
    redis_urls: dict[str, str], form: str
) -> None:
    url = redis_urls[form]
    kinds.get("redis").check_url(url)
    assert probe.version("redis", url)
    with redis_client.connect(url) as adapter, redis_client.make(url, retries=True) as program:
        adapter.set(f"ipclab:form:{form}", form)
        assert program.get(f"ipclab:form:{form}") == form.encode()
        adapter.delete(f"ipclab:form:{form}")


@pytest.mark.parametrize("form", ["another database", "Unix socket", "TLS"])
def test_a_scenario_leaves_nothing_at_another_address_than_its_url(
    redis_urls: dict[str, str], form: str
) -> None:
    url = redis_urls[form]
    with redis_client.connect(redis_urls["plain"]) as other:
        sent = int(other.info("commandstats").get("cmdstat_set", {"calls": 0})["calls"])
        record = play("transaction", UrlBroker("redis", url, "7", "REDIS_URL"))
        assert record.safety is not None
        assert record.safety.counts["value"] == 1, record.safety.finding
        assert int(other.info("commandstats")["cmdstat_set"]["calls"]) > sent
        assert not list(other.scan_iter("ipclab:*"))


def test_the_tls_of_a_url_is_checked_against_its_certificate(redis_urls: dict[str, str]) -> None:
    url = redis_urls["TLS"].partition("?")[0]
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
        probe.version("redis", url)
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
        redis_client.connect(url)


@pytest.mark.parametrize("renamed", ["HELLO", "INFO"])
def test_a_server_without_a_command_is_used_and_its_password_is_not_told(folder: Path, renamed: str) -> None:
    with own_servers.redis(folder, "--requirepass", PASSWORD, "--rename-command", renamed, "") as port:
        url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        redis_client.connect(url).close()
        with pytest.raises(BrokerUnavailableError) as caught:
            probe.version("redis", url.replace(PASSWORD, "Another9"))
        assert "refuses the login" in str(caught.value)
        assert "Another9" not in str(caught.value)


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_a_host_whose_first_address_refuses_is_reached_by_its_second(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def both(host: object, port: object, *args: object, **options: object) -> object:
        if host != "two.example":
            return real(host, port, *args, **options)  # type: ignore[arg-type]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    start = {"redis": own_servers.redis, "memcached": own_servers.memcached}[kind]
    with start(folder) as port:
        url = f"{kind}://two.example:{port}"
        wait_until_it_answers(kind, url)
        connect = {"redis": redis_client.connect, "memcached": memcached_client.connect}[kind]
        connect(url).close()  # type: ignore[operator]
        with Proxy("two.example", port, "fork") as proxy:
            assert probe.version(kind, url_through(url, proxy.port))


@pytest.fixture(scope="module")
def memcached_urls(folder: Path) -> Iterator[dict[str, str]]:
    """memcached servers by every form of address that the client knows."""
    found, key = certificate(folder)
    logins = folder / "logins"
    logins.write_text(f"user:{PASSWORD}\n")
    socket = folder / "m"
    tls = ("-Z", "-o", f"ssl_chain_cert={found},ssl_key={key}")
    with (
        own_servers.memcached(folder, "-Y", str(logins)) as locked,
        own_servers.memcached(folder, "-s", str(socket)),
        own_servers.memcached(folder, *tls) as secured,
        own_servers.memcached(folder, "-l", "::1") as sixth,
    ):
        urls = {
            "login": f"memcached://user:{PASSWORD}@127.0.0.1:{locked}",
            "Unix socket": f"memcached://{socket}",
            "TLS": f"memcacheds://localhost:{secured}?ca_certs={found}",
            "IPv6": f"memcached://[::1]:{sixth}",
        }
        for url in urls.values():
            wait_until_it_answers("memcached", url)
        yield urls


@pytest.mark.parametrize("form", ["login", "Unix socket", "TLS", "IPv6"])
def test_probe_adapter_and_scenario_reach_the_same_memcached_by_every_form_of_url(
    memcached_urls: dict[str, str], form: str
) -> None:
    url = memcached_urls[form]
    kinds.get("memcached").check_url(url)
    with closing(memcached_client.connect(url)) as adapter, closing(memcached_client.make(url)) as program:
        adapter.set("ipclab:form", form)
        assert program.get("ipclab:form") == form.encode()
        adapter.delete("ipclab:form")
        # A login must not be left behind as an item.
        assert adapter.get("auth") is None


@pytest.mark.parametrize("login", ["", "user:wrong@"])
def test_a_memcached_that_wants_a_login_says_so(memcached_urls: dict[str, str], login: str) -> None:
    url = memcached_urls["login"].replace(f"user:{PASSWORD}@", login)
    with pytest.raises(probe.LoginRefusedError) as caught:
        probe.version("memcached", url)
    assert "wrong" not in str(caught.value)


def test_a_server_without_a_login_keeps_none_that_it_was_given(memcached_urls: dict[str, str]) -> None:
    url = memcached_urls["IPv6"].replace("//", f"//user:{PASSWORD}@")
    with closing(memcached_client.connect(url)) as adapter:
        assert adapter.get("auth") is None


@pytest.mark.parametrize(
    ("kind", "url", "says"),
    [
        ("redis", "redis://h/0?ssl_cert_reqs=none", "rediss://"),
        ("redis", "redis://h/0?hunter=Topsecret9", "no option 'hunter'"),
        ("redis", "rediss://h/0?ssl_cert_reqs=Topsecret9", "ssl_cert_reqs"),
        ("redis", "rediss://h/0?ssl_ca_certs=/no/Topsecret9", "cannot be read"),
        ("redis", "redis://h/0?db=Topsecret9", "db"),
        ("redis", "redis://h/Topsecret9", "number of a database"),
        ("redis", "redis://h/0?db=1&db=2", "twice"),
        ("redis", "redis://h/0?Topsecret9", "no value"),
        ("redis", "unix://", "path of the socket"),
        ("rabbitmq", "amqp://user@h/", "user and a password"),
        ("rabbitmq", "amqp://h/a/Topsecret9", "%2F"),
        ("rabbitmq", "amqp://h/?heartbeat=Topsecret9", "heartbeat"),
        ("rabbitmq", "amqps://h/?ssl_options={'password':'Topsecret9','certfile':'/no'}", "ssl_options"),
        ("rabbitmq", "amqp://h/?verify=Topsecret9", "no option 'verify'"),
        ("memcached", "memcached://h/?cert_reqs=none", "memcacheds://"),
        ("memcached", "memcacheds://h/?cert_reqs=Topsecret9", "cert_reqs"),
        ("memcached", "memcached://Topsecret9@h", "user and a password"),
        ("memcached", "memcached://h/Topsecret9", "host or the path"),
    ],
)
def test_a_url_that_no_client_can_take_is_refused_in_one_line_without_its_values(
    kind: str, url: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        kinds.get(kind).check_url(url)
    assert "Topsecret9" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_port_of_amqps_is_its_own() -> None:
    assert kinds.get("rabbitmq").address("amqps://host/") == ("host", 5671)
    assert kinds.get("rabbitmq").address("amqp://host/") == ("host", 5672)
    assert not kinds.get("rabbitmq").accepts_proxy("amqps://host/")
    assert not kinds.get("rabbitmq").accepts_proxy("amqp://host/?ssl_options={}")


@pytest.fixture
def tls_server(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A server that is heard through TLS only: its host and port, and what each client said first."""
    found, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found, key)
    heard: list[bytes] = []

    def listen(listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
                with context.wrap_socket(link, server_side=True) as secured:
                    heard.append(secured.recv(8))
            except OSError:
                if listener.fileno() < 0:
                    return
                heard.append(b"")

    with socket.create_server(("localhost", 0)) as listener:
        thread = threading.Thread(target=listen, args=(listener,))
        thread.start()
        yield f"localhost:{listener.getsockname()[1]}", heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(
    "ask",
    [rabbitmq_connection.connect, lambda url: probe.version("rabbitmq", url)],
    ids=["adapter and scenario", "probe"],
)
def test_amqps_speaks_through_tls_whose_certificate_is_checked(
    tls_server: tuple[str, list[bytes]], folder: Path, ask: Callable[[str], object]
) -> None:
    at, heard = tls_server
    options = {"cafile": str(folder / "certificate.pem"), "server_hostname": "localhost"}
    with pytest.raises(BrokerUnavailableError):
        ask(f"amqps://{at}/?ssl_options={quote_plus(repr(options))}")
    # The probe first looks whether anybody listens.
    assert [said for said in heard if said] == [b"AMQP\x00\x00\x09\x01"]
    heard.clear()
    with pytest.raises(BrokerUnavailableError, match=r"(?i)certificate.verify.failed"):
        ask(f"amqps://{at}/")
    assert set(heard) <= {b""}


def test_a_virtual_host_with_a_slash_in_its_name_is_reached(private_broker_of: BrokerOf) -> None:
    broker = private_broker_of("rabbitmq")
    broker.execute("rabbitmqctl", "-q", "add_vhost", "one/two")
    broker.execute("rabbitmqctl", "-q", "set_permissions", "-p", "one/two", "ipclab", ".*", ".*", ".*")
    url = broker.url.replace("/%2F", "/one%2Ftwo")
    assert probe.version("rabbitmq", url) == broker.version
    with rabbitmq_connection.connect(url) as connection:
        connection.channel().queue_declare("ipclab:there", exclusive=True)
        with (
            rabbitmq_connection.connect(broker.url) as other,
            pytest.raises(pika.exceptions.ChannelClosedByBroker),
        ):
            other.channel().queue_declare("ipclab:there", passive=True)


def test_doctor_says_no_to_a_server_that_no_run_can_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_servers.redis(folder, "--replicaof", "127.0.0.1", "1") as port:
        url = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers("redis", url)
        monkeypatch.setenv("REDIS_URL", url)
        said = outlook.describe("redis")
    assert said.startswith("no: Redis at ")
    assert "REDIS_URL" in said
    assert "read-only replica" in said
