"""What is particular to the Manager's backends: the server process behind them, and the dict's keys."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ipclab.backends.base import Channel, Site
from ipclab.backends.manager.channels import ManagerDictChannel, ManagerListChannel, ManagerQueueChannel
from ipclab.backends.manager.counter import ManagerDictCounter

CHANNELS = [ManagerDictChannel, ManagerListChannel, ManagerQueueChannel]


@pytest.fixture(params=CHANNELS, ids=lambda kind: kind.name)
def channel(request: pytest.FixtureRequest) -> Iterator[Channel]:
    made: Channel = request.param(Site(namespace="ipclab:test", producers=2))
    made.setup()
    yield made
    made.teardown()


def test_the_server_is_the_one_helper_process_and_ends_with_teardown(channel: Channel) -> None:
    (pid,) = channel.server_pids()
    assert psutil.Process(pid).ppid() == os.getpid()

    channel.teardown()

    assert not psutil.pid_exists(pid)
    assert channel.server_pids() == ()


def test_teardown_may_be_called_again(channel: Channel) -> None:
    channel.teardown()
    channel.teardown()


@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.name)
def test_teardown_without_a_setup_does_nothing(kind: type[Channel]) -> None:
    kind(Site(namespace="ipclab:test")).teardown()


def test_the_server_outlives_an_interrupt_from_the_terminal(channel: Channel) -> None:
    os.kill(channel.server_pids()[0], signal.SIGINT)

    channel.producer(0).send(b"after")

    assert list(channel.consumer(0).receive()) == [b"after"]


def test_a_server_whose_parent_was_killed_ends_by_itself() -> None:
    program = (
        "import signal\n"
        "from ipclab.backends.base import Site\n"
        "from ipclab.backends.manager.channels import ManagerQueueChannel\n"
        "channel = ManagerQueueChannel(Site(namespace='ipclab:test', start_method='fork'))\n"
        "channel.setup()\n"
        "print(channel.server_pids()[0], flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    deadline_s = time.monotonic() + 20
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, "the server is still there"
        time.sleep(0.01)


def test_messages_of_different_producers_never_share_a_key_of_the_dict() -> None:
    channel = ManagerDictChannel(Site(namespace="ipclab:test", producers=3))
    channel.setup()
    try:
        producers = [channel.producer(index) for index in range(3)]
        sent = {bytes([index, number]) for index in range(3) for number in range(20)}
        for body in sent:
            producers[body[0]].send(body)
        consumer = channel.consumer(0)

        received = [consumer.receive()[0] for _ in sent]
    finally:
        channel.teardown()

    assert sorted(received) == sorted(sent)


@pytest.mark.parametrize("discipline", ["naive", "locked"])
def test_one_process_alone_counts_right_under_either_discipline(discipline: str) -> None:
    counter = ManagerDictCounter(Site(namespace="ipclab:test"), discipline=discipline)
    counter.setup()
    try:
        client = counter.client(0)
        for _ in range(10):
            client.increment()
        assert client.read() == 10
    finally:
        counter.teardown()


KILLS_A_SERVER = """
import os, signal, sys
from ipclab.backends.base import Site
from ipclab.backends.manager.channels import ManagerQueueChannel
if __name__ == "__main__":
    channel = ManagerQueueChannel(Site(namespace="ipclab:unit", start_method=sys.argv[1]))
    channel.setup()
    (pid,) = channel.server_pids()
    os.kill(pid, signal.SIGKILL)
    channel.teardown()
"""


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_a_server_that_was_killed_leaves_no_folder(tmp_path: Path, start_method: str) -> None:
    program, temporary = tmp_path / "program.py", Path(tempfile.mkdtemp(prefix="ipclab-"))
    program.write_text(KILLS_A_SERVER)
    try:
        subprocess.run(
            [sys.executable, str(program), start_method],
            env=os.environ | {"TMPDIR": str(temporary)}, timeout=60, check=True,
        )  # fmt: skip
        assert list(temporary.iterdir()) == []
    finally:
        shutil.rmtree(temporary)
