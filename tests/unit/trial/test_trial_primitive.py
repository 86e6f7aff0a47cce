"""What a stack is called: of real processes that hang in every primitive of the standard library, and of
hand-made ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipclab.backends.base import Channel, Site
from ipclab.backends.registry import Variant, channel_class
from ipclab.host.child import leave_with
from ipclab.trial import logged
from ipclab.trial.primitive import Place, adapters, name_primitive, stands_in
from tests.support.stacks import Hanging, hanging

pytestmark = pytest.mark.usefixtures("nothing_left")
BODY = bytes(64)

Hang = Callable[[Callable[[], object]], Hanging]


@pytest.fixture
def hang(tmp_path: Path, nothing_left: None) -> Iterator[Hang]:
    with hanging(tmp_path) as make:
        yield make


@pytest.fixture
def channel_of(nothing_left: None) -> Iterator[Callable[[str], Any]]:
    """Channels that are set up; what they keep to themselves is looked at, to take their locks."""
    made: list[Channel] = []

    def make(name: str) -> Channel:
        channel = channel_class(Variant(name))(
            Site(namespace="ipclab:unit", producers=2, consumers=2, start_method="fork")
        )
        channel.setup()
        made.append(channel)
        return channel

    yield make
    for channel in made:
        channel.teardown()


def test_of_two_that_wait_for_a_message_one_is_in_the_pipe_and_the_other_at_the_read_lock(
    hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    queue = channel_of("queue")

    first = hang(lambda: queue.consumer(0).receive()).stack()
    second = hang(lambda: queue.consumer(1).receive()).stack()

    assert name_primitive(first) == "Queue.get (in Connection._recv)"
    assert name_primitive(second) == "Queue.get (read lock)"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("queue", "Queue.get (read lock)"),
        ("joinable-queue", "Queue.get (read lock)"),
        ("simple-queue", "SimpleQueue.get (read lock)"),
    ],
)
def test_a_read_lock_that_is_never_released_is_named(
    name: str, says: str, hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of(name)
    with channel._queue._rlock:
        stack = hang(lambda: channel.consumer(0).receive()).stack()

    assert name_primitive(stack) == says


def test_a_write_lock_that_is_never_released_is_named_where_put_writes_by_itself(
    hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of("simple-queue")
    with channel._queue._wlock:
        stack = hang(lambda: channel.producer(0).send(BODY)).stack()

    assert name_primitive(stack) == "SimpleQueue.put (write lock)"


@pytest.mark.parametrize("name", ["queue", "joinable-queue"])
def test_a_queue_that_cannot_close_is_named_by_its_feeder_thread_at_the_write_lock(
    name: str, hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of(name)

    def put_and_close() -> None:
        producer = channel.producer(0)
        producer.send(BODY)
        producer.close()

    with channel._queue._wlock:
        stack = hang(put_and_close).stack()

    assert name_primitive(stack) == "Queue._feed (write lock)"


def test_a_joinable_queue_whose_count_is_locked_is_named(
    hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of("joinable-queue")
    with channel._queue._cond:
        stack = hang(lambda: channel.producer(0).send(BODY)).stack()

    assert name_primitive(stack) == "JoinableQueue.put (condition)"


def test_a_reader_of_an_empty_pipe_and_a_writer_to_a_full_one_are_named(
    hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    empty, full = channel_of("pipe"), channel_of("pipe")

    reader = hang(lambda: empty.consumer(0).receive())
    writer = hang(lambda: full.producer(0).send(bytes(1 << 20)))

    assert name_primitive(reader.stack()) == "Connection.recv_bytes (in Connection._recv)"
    assert name_primitive(writer.stack()) == "Connection.send_bytes (in Connection._send)"


def test_a_plain_lock_has_no_frame_of_its_own_and_is_named_by_who_waits_for_it(
    hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of("pipe-locked")
    reading, writing = channel._locks
    with reading, writing:
        names = [
            name_primitive(hang(call).stack())
            for call in (lambda: channel.consumer(0).receive(), lambda: channel.producer(0).send(BODY))
        ]

    assert names == [
        "Lock.acquire (in LockedPipeConsumer._receive_one)",
        "Lock.acquire (in LockedPipeProducer.send)",
    ]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("manager-queue", "put"),
        ("manager-list", "append"),
        ("manager-dict", "__setitem__"),
    ],
)
def test_a_call_of_a_manager_that_does_not_answer_is_named(
    name: str, call: str, hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of(name)
    (server,) = channel.server_pids()

    def send_for_ever() -> None:
        producer = channel.producer(0)
        producer.send(BODY)
        os.kill(server, signal.SIGSTOP)
        # It takes effect when the server next runs, and some may be answered until then.
        while True:
            producer.send(BODY)

    try:
        stack = hang(send_for_ever).stack()
    finally:
        os.kill(server, signal.SIGCONT)

    assert name_primitive(stack) == f"Manager proxy {call} (in Connection._recv)"


def test_a_getter_that_waits_in_the_manager_is_named_by_its_proxy(
    hang: Hang, channel_of: Callable[[str], Any]
) -> None:
    channel = channel_of("manager-queue")

    stack = hang(lambda: channel.consumer(0).receive()).stack()

    assert name_primitive(stack) == "Manager proxy get (in Connection._recv)"


def stack_of(*threads: list[tuple[str, int, str]]) -> str:
    """As faulthandler writes it: a file, a line and a function for each frame, innermost first."""
    return "\n\n".join(
        "\n".join(
            [f"Thread 0x{number:016x} (most recent call first):"]
            + [f'  File "{file}", line {line} in {function}' for file, line, function in frames]
        )
        for number, frames in enumerate(threads)
    )


LAB = logged.__file__
LIBRARY = "/usr/lib/python3/site-packages/client.py"
BOOTSTRAP = ("/usr/lib/python3/threading.py", 1, "_bootstrap")


def test_of_other_libraries_the_outermost_call_and_the_innermost_are_named() -> None:
    frames = [(LIBRARY, 9, "read_byte"), (LIBRARY, 5, "read"), (LIBRARY, 1, "call"), (LAB, 1, "_produce")]

    assert name_primitive(stack_of(frames)) == "call (in read_byte)"


def test_a_call_of_one_frame_is_named_once() -> None:
    assert name_primitive(stack_of([(LIBRARY, 1, "call"), (LAB, 1, "_produce")])) == "call"


def test_the_lab_s_own_thread_and_idle_threads_of_a_library_are_passed_over() -> None:
    code = leave_with.__code__
    watch = [
        ("/x/multiprocessing/connection.py", 1, "wait"),
        (code.co_filename, code.co_firstlineno + 2, code.co_name),
    ]
    idle = [(LIBRARY, 1, "serve"), BOOTSTRAP]
    main = [(LIBRARY, 1, "call"), (LAB, 1, "_produce"), ("/x/main.py", 1, "<module>")]

    assert name_primitive(stack_of([*watch, BOOTSTRAP], idle, main)) == "call"


@pytest.mark.parametrize("text", ["", "no stack: the process did not answer", "Fatal Python error"])
def test_what_is_no_stack_is_unknown(text: str) -> None:
    assert name_primitive(text) == "unknown"


def plug_in(folder: Path, line: str) -> Path:
    """A backend's module by itself, outside of the lab; its third line is this one."""
    file = folder / "somebodys_backend.py"
    file.write_text(f"class Sender:\n    def send(self, body):\n        {line}\n")
    return file


def test_a_hang_in_a_plug_in_is_named_by_the_call_of_the_library(
    tmp_path: Path,
) -> None:
    file = plug_in(tmp_path, "self._client.push(body)")
    frames = [(LIBRARY, 9, "read"), (LIBRARY, 1, "push"), (str(file), 3, "send"), (LAB, 1, "_produce")]

    assert name_primitive(stack_of(frames), (Place(file),)) == "push (in read)"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("time.sleep(600)", "time.sleep (in Sender.send)"),
        ("self._socket.recv(4)", "self._socket.recv (in Sender.send)"),
        ("self._lock.acquire()", "self._lock.acquire (in Sender.send)"),
    ],
)
def test_a_call_that_is_not_in_python_is_named_by_the_line_that_makes_it(
    tmp_path: Path, line: str, says: str
) -> None:
    file = plug_in(tmp_path, line)
    frames = [(str(file), 3, "send"), (LAB, 1, "_produce")]

    assert name_primitive(stack_of(frames), (Place(file),)) == says


def test_the_code_of_a_plug_in_is_known_by_its_class() -> None:
    class Sender(Channel):
        """Of this file, which is in a package."""

    assert adapters(Sender) == (Path(__file__).parent,)
    assert adapters(channel_class(Variant("queue"))) == ()


def test_who_pauses_before_it_connects_again_is_known_by_the_function_and_not_by_its_name() -> None:
    code = logged._ReconnectingEnd.reconnect.__code__
    again = (code.co_filename, code.co_firstlineno + 4, code.co_name)
    connecting = (LIBRARY, 1, "connect")

    assert stands_in(stack_of([again, (LAB, 1, "_produce")]), logged.RECONNECTING)
    assert not stands_in(stack_of([connecting, again, (LAB, 1, "_produce")]), logged.RECONNECTING)
    assert not stands_in(stack_of([(LAB, 1, "again")]), logged.RECONNECTING)
