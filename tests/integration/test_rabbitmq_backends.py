"""What is particular to the RabbitMQ backends: confirms, windows, returned messages, who owns a queue."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier

import pika
import pika.exceptions
import pytest

from ipclab.backends.base import Channel, Consumer, OptionValue, Producer, Site
from ipclab.backends.rabbitmq.channels import RabbitmqChannel, RabbitmqQuorumChannel
from ipclab.backends.rabbitmq.counter import RabbitmqCounter
from ipclab.backends.rabbitmq.stream import RabbitmqStreamChannel
from ipclab.brokers import Broker
from ipclab.errors import BrokerUnavailableError, ChannelError

NAMESPACE = f"ipclab:test-rabbitmq-{os.getpid()}"
MODES: list[tuple[type[RabbitmqChannel], dict[str, OptionValue]]] = [
    (RabbitmqChannel, {}),
    (RabbitmqChannel, {"delivery": "transient"}),
    (RabbitmqChannel, {"ack": "auto"}),
    (RabbitmqChannel, {"confirm": "none"}),
    (RabbitmqChannel, {"prefetch": 1}),
    (RabbitmqQuorumChannel, {}),
]


@pytest.fixture
def url(rabbitmq_broker: Broker) -> str:
    return rabbitmq_broker.url


class Bench:
    """Channels, producers and consumers that are closed when the test ends."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url = url
        self.stack = stack

    def channel(
        self, kind: type[RabbitmqChannel] = RabbitmqChannel, window: int = 1, **options: OptionValue
    ) -> RabbitmqChannel:
        channel = kind(Site(namespace=NAMESPACE, url=self.url, window=window), **options)
        self.stack.callback(channel.teardown)
        channel.setup()
        return channel

    def producer(self, channel: Channel) -> Producer:
        producer = channel.producer(0)
        self.stack.callback(producer.close)
        return producer

    def consumer(self, channel: Channel) -> Consumer:
        consumer = channel.consumer(0)
        self.stack.callback(consumer.close)
        return consumer

    def queue_exists(self, name: str) -> bool:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            try:
                connection.channel().queue_declare(name, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return False
            return True


@pytest.fixture
def bench(url: str) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(url, stack)


def send(producer: Producer, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        producer.send(body)
    producer.flush()


def receive(consumer: Consumer, count: int) -> list[bytes]:
    received: list[bytes] = []
    while len(received) < count:
        received += consumer.receive()
        if consumer.acknowledges:
            consumer.ack()
    return received


@pytest.mark.parametrize("window", [1, 100])
@pytest.mark.parametrize(("kind", "options"), MODES, ids=lambda value: str(getattr(value, "name", value)))
def test_every_mode_carries_any_bytes_of_any_size_in_order(
    bench: Bench, kind: type[RabbitmqChannel], options: dict[str, OptionValue], window: int
) -> None:
    channel = bench.channel(kind, window, **options)
    producer, consumer = bench.producer(channel), bench.consumer(channel)
    sent = [b"", bytes(range(256)), b"\xce" * 9, os.urandom(65_536), os.urandom(1_000_000)]
    sent += [b"%d" % number for number in range(300)]

    send(producer, sent)

    assert receive(consumer, len(sent)) == sent


@pytest.mark.parametrize("window", [1, 7])
def test_no_more_than_a_window_is_handed_over_at_once(bench: Bench, window: int) -> None:
    channel = bench.channel(window=window)
    producer, consumer = bench.producer(channel), bench.consumer(channel)
    send(producer, [b"x"] * 50)

    sizes: list[int] = []
    while sum(sizes) < 50:
        sizes.append(len(consumer.receive()))
        consumer.ack()

    assert max(sizes) <= window


def test_what_was_received_but_not_acknowledged_comes_again(bench: Bench) -> None:
    channel = bench.channel(window=10)
    producer = bench.producer(channel)
    send(producer, [b"%d" % number for number in range(20)])
    first = channel.consumer(0)
    acknowledged = list(first.receive())
    first.ack()
    first.receive()
    first.close()

    again = receive(bench.consumer(channel), 20 - len(acknowledged))

    assert acknowledged + again == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("window", [1, 10])
def test_a_message_without_a_queue_is_an_error_by_the_flush_and_the_next_one_passes(
    bench: Bench, window: int
) -> None:
    channel = bench.channel(window=window)
    producer = bench.producer(channel)
    channel.teardown()

    with pytest.raises(pika.exceptions.UnroutableError):
        send(producer, [b"to nowhere"])

    channel.setup()
    send(producer, [b"to the queue"])
    assert receive(bench.consumer(channel), 1) == [b"to the queue"]


def test_without_confirms_a_message_without_a_queue_is_an_error_of_close(bench: Bench) -> None:
    channel = bench.channel(confirm="none")
    producer = channel.producer(0)
    channel.teardown()

    producer.send(b"to nowhere")

    with pytest.raises(pika.exceptions.UnroutableError):
        producer.close()


@pytest.mark.parametrize("window", [1, 10])
def test_a_full_queue_that_refuses_is_an_error(bench: Bench, window: int) -> None:
    class Full(RabbitmqChannel):
        queue_arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}  # noqa: RUF012

    channel = bench.channel(Full, window)
    producer = bench.producer(channel)

    with pytest.raises(pika.exceptions.NackError):
        send(producer, [b"x"] * 10)


def test_closing_a_producer_hands_over_what_was_not_flushed(bench: Bench) -> None:
    channel = bench.channel(window=100)
    producer = channel.producer(0)
    for _ in range(10):
        producer.send(b"x")

    producer.close()

    assert receive(bench.consumer(channel), 10) == [b"x"] * 10


def test_a_consumer_whose_queue_is_deleted_ends_with_an_error_instead_of_waiting(bench: Bench) -> None:
    channel = bench.channel()
    consumer = bench.consumer(channel)
    channel.teardown()

    with pytest.raises(ChannelError, match="queue deleted"):
        consumer.receive()


def test_teardown_deletes_the_queue_and_may_be_called_again(bench: Bench) -> None:
    channel = bench.channel()
    assert bench.queue_exists(f"{NAMESPACE}:messages")

    channel.teardown()
    channel.teardown()

    assert not bench.queue_exists(f"{NAMESPACE}:messages")


@pytest.mark.parametrize("window", [1, 10])
def test_a_server_that_is_not_there_is_named_without_its_password(window: int) -> None:
    site = Site(namespace=NAMESPACE, url="amqp://someone:secret@127.0.0.1:1/%2F", window=window)
    channel = RabbitmqChannel(site)

    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1\b.*refused") as caught:
        channel.setup()
    assert "secret" not in str(caught.value)
    with pytest.raises(BrokerUnavailableError):
        channel.producer(0)
    channel.teardown()


@pytest.mark.parametrize(
    ("options", "delivery", "may_lose", "durability", "confirm"),
    [
        ({}, "at-least-once", set(), "disk", "broker"),
        ({"delivery": "transient"}, "at-least-once", {"broker crash"}, "none", "broker"),
        (
            {"confirm": "none"},
            "at-least-once",
            {"producer crash", "connection loss", "broker crash"},
            "none",
            "written",
        ),
        (
            {"ack": "auto"},
            "at-most-once",
            {"consumer crash", "connection loss", "broker crash"},
            "disk",
            "broker",
        ),
    ],
)
def test_each_mode_declares_what_it_can_keep(
    options: dict[str, OptionValue], delivery: str, may_lose: set[str], durability: str, confirm: str
) -> None:
    declared = RabbitmqChannel(Site(namespace=NAMESPACE), **options).guarantees

    assert (declared.delivery, set(declared.may_lose), declared.durability, declared.confirm) == (
        delivery,
        may_lose,
        durability,
        confirm,
    )


def _increment(counter: RabbitmqCounter, index: int, times: int, start: Barrier) -> None:
    client = counter.client(index)
    start.wait(60)
    for _ in range(times):
        client.increment()
    client.close()


def test_four_processes_lose_no_increment_of_the_token(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    counter = RabbitmqCounter(Site(namespace=NAMESPACE, url=url, producers=4))
    counter.setup()
    try:
        start = context.Barrier(4)
        workers = [context.Process(target=_increment, args=(counter, i, 50, start)) for i in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        client = counter.client(0)
        assert [client.read(), client.read()] == [200, 200]
        client.close()
    finally:
        counter.teardown()


def test_a_client_that_leaves_with_the_token_in_hand_gives_it_back(url: str) -> None:
    counter = RabbitmqCounter(Site(namespace=NAMESPACE, url=url))
    counter.setup()
    try:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            method, _, body = connection.channel().basic_get(counter.queue)
            assert (method is not None, body) == (True, b"0")
        client = counter.client(0)
        client.increment()
        assert client.read() == 1
        client.close()
    finally:
        counter.teardown()


def test_a_quorum_queue_declares_that_a_publisher_without_confirms_may_leave_too_early() -> None:
    site = Site(namespace=NAMESPACE)

    assert "overload" in RabbitmqQuorumChannel(site, confirm="none").guarantees.may_lose
    assert RabbitmqQuorumChannel(site).guarantees.may_lose == frozenset()
    assert RabbitmqQuorumChannel(site).guarantees.durability == "quorum"


@pytest.mark.parametrize(("offset", "again"), [("first", [b"1", b"2", b"3"]), ("next", [b"3"])])
def test_a_reader_of_a_stream_that_starts_again_begins_where_its_offset_says(
    url: str, offset: str, again: list[bytes]
) -> None:
    channel = RabbitmqStreamChannel(Site(namespace=f"{NAMESPACE}-stream", url=url), offset=offset)
    channel.setup()
    try:
        reader, producer = channel.consumer(0), channel.producer(0)
        for body in (b"1", b"2"):
            producer.send(body)
        assert reader.receive() == (b"1",)
        reader.ack()
        reader.close()  # the second message has arrived perhaps, and was not received
        reader = channel.consumer(0)
        producer.send(b"3")
        assert [reader.receive()[0] for _ in again] == again
        reader.close()
        producer.close()
    finally:
        channel.teardown()
