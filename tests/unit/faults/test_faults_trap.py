"""Catching a process while it reads a large message."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event

import pytest

from ipclab.faults import trap
from ipclab.host import stillness
from ipclab.host.start_methods import context

pytestmark = pytest.mark.usefixtures("nothing_left")
SIZE_BYTES = 32 << 20
WITHIN_S = 20.0

Start = Callable[..., BaseProcess]


@pytest.fixture
def start(nothing_left: None) -> Iterator[Start]:
    made: list[BaseProcess] = []

    def begin(target: Callable[..., object], *arguments: object) -> BaseProcess:
        process = context("fork").Process(target=target, args=arguments, daemon=True)
        process.start()
        made.append(process)
        return process

    yield begin
    for process in made:
        process.kill()
        process.join()


def read(reader: Connection, told: Connection) -> None:
    told.send("reads")
    told.send(len(reader.recv_bytes()))
    signal.pause()


def write(writer: Connection, size_bytes: int) -> None:
    writer.send_bytes(bytes(size_bytes))
    signal.pause()


def write_half(writer: Connection, size_bytes: int, go_on: Event) -> None:
    """As ``write``, but with the second half only when it may: until then nobody can have the whole."""
    with open(writer.fileno(), "wb", closefd=False) as pipe:
        pipe.write(struct.pack("!i", size_bytes) + bytes(size_bytes // 2))
        pipe.flush()
        go_on.wait()
        pipe.write(bytes(size_bytes - size_bytes // 2))
    signal.pause()


def pid_of(process: BaseProcess) -> int:
    assert process.pid is not None
    return process.pid


def test_a_reader_is_stopped_with_a_part_of_the_message_and_gets_the_rest_when_it_goes_on(
    start: Start,
) -> None:
    (reader, writer), (ours, theirs) = context("fork").Pipe(duplex=False), context("fork").Pipe()
    reading = start(read, reader, theirs)
    assert ours.recv() == "reads"
    before = {pid_of(reading): trap.bytes_read(pid_of(reading))}
    go_on = context("fork").Event()
    start(write_half, writer, SIZE_BYTES, go_on)

    caught = trap.stop_while_reading(before, SIZE_BYTES, WITHIN_S)

    assert caught == reading.pid
    assert stillness.stopped(caught)
    has = trap.bytes_read(caught) - before[caught]
    assert SIZE_BYTES * trap.LEAST_SHARE <= has <= SIZE_BYTES * trap.MOST_SHARE
    assert not ours.poll()
    go_on.set()
    os.kill(caught, signal.SIGCONT)
    assert ours.poll(WITHIN_S)
    assert ours.recv() == SIZE_BYTES


def test_of_several_the_one_that_reads_is_stopped(start: Start) -> None:
    pipes = [context("fork").Pipe(duplex=False) for _ in range(2)]
    ours, theirs = context("fork").Pipe()
    readers = [start(read, reader, theirs) for reader, _ in pipes]
    assert [ours.recv(), ours.recv()] == ["reads", "reads"]
    before = {pid_of(r): trap.bytes_read(pid_of(r)) for r in readers}
    start(write_half, pipes[1][1], SIZE_BYTES, context("fork").Event())

    assert trap.stop_while_reading(before, SIZE_BYTES, WITHIN_S) == readers[1].pid
    assert not stillness.stopped(pid_of(readers[0]))


def test_one_that_has_all_of_it_already_is_let_go_and_not_called_caught(start: Start) -> None:
    (reader, writer), (ours, theirs) = context("fork").Pipe(duplex=False), context("fork").Pipe()
    reading = start(read, reader, theirs)
    assert ours.recv() == "reads"
    before = {pid_of(reading): trap.bytes_read(pid_of(reading))}
    start(write, writer, SIZE_BYTES)
    assert ours.recv() == SIZE_BYTES

    assert trap.stop_while_reading(before, SIZE_BYTES, WITHIN_S) is None
    assert not stillness.stopped(pid_of(reading))


def test_nobody_is_stopped_where_nothing_is_read_in_time(start: Start) -> None:
    idle = start(signal.pause)

    caught = trap.stop_while_reading({pid_of(idle): trap.bytes_read(pid_of(idle))}, SIZE_BYTES, 0.1)

    assert caught is None
    assert not stillness.stopped(pid_of(idle))


def test_a_process_that_is_gone_cannot_be_asked_what_it_has_read(start: Start) -> None:
    ended = start(int)
    ended.join()

    with pytest.raises(OSError, match="No such"):
        trap.bytes_read(pid_of(ended))
