"""A server that echoes its client's password, or steers the terminal: nothing of it is shown or stored."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.program import Ended, Ipclab

PASSWORD = "Top/se:cret 9é"
"""With characters that each way of quoting writes in another way."""


class _Echo(socketserver.StreamRequestHandler):
    """Answers each command as a Redis before version 6 answers HELLO: with all that it was sent."""

    def handle(self) -> None:
        while words := self._command():
            args = " ".join(f"'{word}'" for word in words[1:])
            self.wfile.write(
                f"-ERR unknown command '{words[0]}', \x1b[2J\x07with args beginning with: {args}\r\n".encode()
            )

    def _command(self) -> list[str]:
        count = self.rfile.readline()
        words = []
        for _ in range(int(count[1:] or 0)):
            size = int(self.rfile.readline()[1:])
            words.append(self.rfile.read(size + 2)[:-2].decode())
        return words


@pytest.fixture(scope="module")
def echoing_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


URLS = {
    "password": "redis://:{secret}@127.0.0.1:{port}/0",
    "user and password": "redis://me:{secret}@127.0.0.1:{port}/0",
    "option": "redis://127.0.0.1:{port}/0?password={secret}",
}


def told(ended: Ended, here: Path) -> str:
    """All that the program has said and stored."""
    files = "".join(path.read_text("utf-8", "replace") for path in here.rglob("*") if path.is_file())
    return ended.out + ended.err + files


@pytest.mark.parametrize("form", sorted(URLS))
@pytest.mark.parametrize(
    "command",
    [
        ("run", "-b", "redis-list", "--duration", "0.1", "--repeats", "1"),
        ("--debug", "run", "-b", "redis-list", "--duration", "0.1", "--repeats", "1"),
        ("doctor",),
        ("backends",),
        ("status",),
    ],
    ids=lambda command: command[0],
)
def test_a_password_that_the_server_echoes_is_nowhere(
    ipclab: Ipclab, here: Path, echoing_port: int, form: str, command: tuple[str, ...]
) -> None:
    url = URLS[form].format(secret=quote(PASSWORD, safe=""), port=echoing_port)
    said = told(ipclab(*command, REDIS_URL=url), here)
    assert f"127.0.0.1:{echoing_port}" in said
    for secret in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), ascii(PASSWORD)[1:-1], "cret 9"):
        assert secret not in said
    assert "\x1b" not in said
    assert "\x07" not in said


def test_a_token_in_the_place_of_a_user_is_nowhere(ipclab: Ipclab, here: Path, echoing_port: int) -> None:
    said = told(ipclab("doctor", REDIS_URL=f"redis://hunter2hunter2@127.0.0.1:{echoing_port}"), here)
    assert f"redis://127.0.0.1:{echoing_port}" in said
    assert "hunter2" not in said
