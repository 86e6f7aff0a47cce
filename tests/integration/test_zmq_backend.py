"""What is particular to ZeroMQ: consumers that never come, high-water marks, and what ends with a process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ipclab.backends.base import OptionValue, Site
from ipclab.backends.zmq.channels import ZmqChannel
from tests.support.crashes import play, safety_of

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]


@pytest.fixture(params=["ipc", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each transport."""
    return str(request.param)


def made(*, consumers: int = 1, **options: OptionValue) -> ZmqChannel:
    channel = ZmqChannel(Site(namespace="ipclab:test", consumers=consumers), **options)
    channel.setup()
    return channel


@pytest.mark.parametrize(("immediate", "arrive"), [(1, 20), (0, 10)])
def test_only_immediate_spares_what_would_wait_for_a_consumer_that_never_comes(
    immediate: int, arrive: int, transport: str
) -> None:
    channel = made(consumers=2, transport=transport, immediate=immediate)
    consumer, producer = channel.consumer(0), channel.producer(0)
    for number in range(20):
        producer.send(b"%d" % number)
    received = [int(consumer.receive()[0]) for _ in range(arrive)]
    assert received == sorted(received)
    assert consumer._end.poll(100) == 0
    producer._end.linger = 0  # nobody will come for the rest
    producer.close()
    consumer.close()
    channel.teardown()


def test_a_producer_waits_at_the_high_water_mark_and_loses_nothing(transport: str) -> None:
    channel = made(transport=transport, hwm=1)
    consumer = channel.consumer(0)
    bodies = [b"%d" % number * 10_000 for number in range(300)]

    def send_all() -> None:
        producer = channel.producer(0)
        for body in bodies:
            producer.send(body)
        producer.close()

    sending = threading.Thread(target=send_all)
    sending.start()
    assert [consumer.receive()[0] for _ in bodies] == bodies
    sending.join()
    consumer.close()
    channel.teardown()


def test_a_torn_down_channel_leaves_no_socket_in_the_file_system() -> None:
    channel = made()
    path = Path(channel._addresses[0].removeprefix("ipc://"))
    consumer = channel.consumer(0)
    assert path.exists()
    consumer._end.context.destroy(linger=0)  # as a killed one, which removes nothing
    path.touch()
    channel.teardown()
    channel.teardown()
    assert not path.exists()


@pytest.mark.parametrize("words", ["kill consumer, busy", "kill producer, busy"])
def test_what_a_killed_process_holds_is_declared_lost_and_nobody_hangs(words: str) -> None:
    found = safety_of(play("zmq", words))
    assert (found.verdict, found.hung, found.broken) == ("valid", {}, [])
