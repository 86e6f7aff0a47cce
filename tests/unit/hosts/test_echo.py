"""The echo on the loopback: what it answers, what it ignores, and that both ends come to an end."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ipclab.host.clock import now_ns
from ipclab.hosts.clock_bound import OffsetBound, bound_of
from ipclab.hosts.echo import TOKEN_BYTES, Answerer, Asker, new_token, take_echoes

TOKEN = bytes(range(TOKEN_BYTES))
SERVE = """
import sys
from ipclab.hosts.echo import Answerer
answerer = Answerer(bytes.fromhex(sys.argv[1]), "127.0.0.1")
print(answerer.port, flush=True)
print(answerer.answer_for(30, int(sys.argv[2])))
"""


@pytest.fixture
def answerer() -> Iterator[Answerer]:
    with contextlib.closing(Answerer(TOKEN, "127.0.0.1")) as made:
        yield made


def arrived(end: Answerer | Asker) -> bool:
    return bool(select.select([end], [], [], 10)[0])


def test_another_process_answers_and_its_clock_is_within_the_bound() -> None:
    token = new_token()
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, token.hex(), "50"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        echoes = take_echoes(("127.0.0.1", port), token, count=50, deadline_s=20)
        assert int(server.stdout.read()) == 50
    assert len(echoes) == 50
    assert all(echo.sent_ns <= echo.remote_ns <= echo.received_ns for echo in echoes)
    found = bound_of(echoes)
    assert isinstance(found, OffsetBound)
    assert found.low_ns <= 0 <= found.high_ns  # one machine, one clock


def test_an_answer_is_as_long_as_its_question(answerer: Answerer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(10)
        question = TOKEN + bytes(16)
        asker.sendto(question, ("127.0.0.1", answerer.port))
        assert arrived(answerer)
        assert answerer.answer() == 1
        assert len(asker.recv(100)) == len(question)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        TOKEN,
        bytes(TOKEN_BYTES) + bytes(16),
        TOKEN[:-1] + b"\0" + bytes(16),
        TOKEN + bytes(17),
        bytes(60_000),
    ],
    ids=["empty", "short", "no token", "near token", "long", "huge"],
)
def test_a_datagram_without_the_token_or_of_another_size_gets_no_answer(
    answerer: Answerer, datagram: bytes
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.sendto(datagram, ("127.0.0.1", answerer.port))
        assert arrived(answerer)
        assert answerer.answer() == 0
        asker.setblocking(False)
        with pytest.raises(BlockingIOError):
            asker.recv(100)


def test_a_strange_answer_is_no_echo_and_a_repeated_one_counts_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind(("127.0.0.1", 0))
        forger.settimeout(10)
        with contextlib.closing(Asker(forger.getsockname(), TOKEN)) as asker:
            assert asker.ask()
            question, sender = forger.recvfrom(100)
            for answer in (bytes(32), question[:16] + b"\xff" * 16, question[:-1], question, question):
                forger.sendto(answer, sender)
            echoes = []
            while not asker.last_is_answered and arrived(asker):
                echoes += asker.collect()
            echoes += asker.collect()
    assert [echo.remote_ns for echo in echoes] == [0]


def test_an_answer_to_an_earlier_question_counts_with_its_own_times(answerer: Answerer) -> None:
    with contextlib.closing(Asker(("127.0.0.1", answerer.port), TOKEN)) as asker:
        assert asker.ask()
        between_ns = now_ns()
        assert asker.ask()
        assert arrived(answerer)
        assert answerer.answer() == 2
        assert arrived(asker)
        first, second = asker.collect()
    assert first.sent_ns < between_ns < second.sent_ns
    assert first.remote_ns <= second.remote_ns


def test_where_nobody_listens_there_is_no_echo_and_no_endless_wait() -> None:
    with contextlib.closing(Answerer(TOKEN, "127.0.0.1")) as gone:
        port = gone.port
    assert take_echoes(("127.0.0.1", port), TOKEN, count=3, deadline_s=0.15) == []


def test_where_nobody_answers_the_deadline_ends_the_wait(answerer: Answerer) -> None:
    assert take_echoes(("127.0.0.1", answerer.port), TOKEN, deadline_s=0.05) == []
    assert answerer.answer_for(0.01) == 1


def test_an_address_without_a_meaning_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        take_echoes(("name.invalid", 9), TOKEN)


def test_a_token_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Answerer(b"short")
