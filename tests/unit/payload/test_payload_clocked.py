"""The CPU time of serialising is measured where it is spent."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.queues
import time

import pytest

from ipclab.payload.clocked import EVERY, LARGE_BYTES, Account, Serialised


def burn(cpu_ns: int) -> int:
    began_ns = time.thread_time_ns()
    while time.thread_time_ns() - began_ns < cpu_ns:
        pass
    return cpu_ns


@pytest.mark.parametrize("every", [1, EVERY])
def test_the_time_of_all_calls_follows_from_the_samples(every: int) -> None:
    account = Account(every)
    run = account.clocked(burn)
    for _ in range(2 * EVERY):
        assert run(100_000) == 100_000
    assert account.sampled == 2 * EVERY // every
    # The clock of a thread counts nothing but the thread, so a busy machine adds little to it.
    assert account.total_ns >= 2 * EVERY * 100_000


@pytest.mark.parametrize(("size_bytes", "sampled"), [(LARGE_BYTES, 3), (LARGE_BYTES - 1, 1)])
def test_large_payloads_are_all_measured_and_of_small_ones_the_first_and_some(
    size_bytes: int, sampled: int
) -> None:
    calls: list[int] = []
    serialised = Serialised(size_bytes)
    encode = serialised.encoding(lambda argument: calls.append(burn(argument)))
    for _ in range(3):
        encode(50_000)
    (account,) = serialised._encoding
    assert (len(calls), account.sampled) == (3, sampled)
    assert serialised.spent()["encode_cpu_ns"] >= 3 * 50_000


def test_what_a_queue_pickles_by_itself_is_measured_and_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (multiprocessing.queues, multiprocessing.connection):
        monkeypatch.setattr(module, "_ForkingPickler", module._ForkingPickler)
    serialised = Serialised(LARGE_BYTES)
    serialised.watch_multiprocessing()
    queue = multiprocessing.get_context("fork").SimpleQueue()
    queue.put({"a": list(range(1000))})
    assert queue.get() == {"a": list(range(1000))}
    spent_ns = serialised.spent()
    assert spent_ns["encode_cpu_ns"] > 0
    assert spent_ns["decode_cpu_ns"] > 0
    assert spent_ns["check_cpu_ns"] == 0
    reader, writer = multiprocessing.Pipe(duplex=False)
    writer.send(["b"])
    assert reader.recv() == ["b"]
