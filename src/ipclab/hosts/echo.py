"""The UDP echo that compares two clocks: one end answers with its clock, the other takes the echoes.

A datagram is a token, a number and a reading, always 32 bytes. An answer is as long as its question, so the
answering end amplifies nothing, and it answers nobody who does not know the token of the trial. Neither
end starts a thread or a process.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import select
import socket
import struct

from ipclab.host.clock import now_ns
from ipclab.hosts.clock_bound import Echo

TOKEN_BYTES = 16
COUNT = 200
DEADLINE_S = 2.0
RESEND_NS = 100_000_000
"""After this time without an answer the next datagram is sent; a later answer still counts."""
_FRAME = struct.Struct(f"!{TOKEN_BYTES}sQq")

Address = tuple[str, int]


def new_token() -> bytes:
    """Return a random token for one trial; both ends get it over a channel that others cannot read."""
    return secrets.token_bytes(TOKEN_BYTES)


class Answerer:
    """Answers datagrams that carry the token with a reading of this machine's clock.

    The socket does not block: give ``fileno()`` to a selector and call ``answer`` when it is readable. Use it
    in one thread, and close it at the end. Raise OSError where the address cannot be bound.
    """

    def __init__(self, token: bytes, host: str = "", port: int = 0) -> None:
        if len(token) != TOKEN_BYTES:
            raise ValueError(f"a token has {TOKEN_BYTES} bytes, this one {len(token)}")
        self._token = token
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """Return the port that the echo listens on."""
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """Return the descriptor that is readable when a datagram waits."""
        return self._socket.fileno()

    def answer(self, most: int = 64) -> int:
        """Return the number of answers to the datagrams that wait, of which it reads at most ``most``."""
        answered = 0
        for _ in range(most):
            try:
                datagram, sender = self._socket.recvfrom(_FRAME.size + 1)
                if len(datagram) != _FRAME.size:
                    continue
                token, number, _ = _FRAME.unpack(datagram)
                if hmac.compare_digest(token, self._token):
                    self._socket.sendto(_FRAME.pack(token, number, now_ns()), sender)
                    answered += 1
            except BlockingIOError:
                break
            except OSError:  # the sender is gone, or no route leads to it: the next one may be there
                continue
        return answered

    def answer_for(self, seconds: float, answers: int | None = None) -> int:
        """Return how many answers it gave until the time was up, or ``answers`` were given."""
        end_ns, done = now_ns() + int(seconds * 1e9), 0
        while (answers is None or done < answers) and (left_ns := end_ns - now_ns()) > 0:
            if select.select([self], [], [], left_ns / 1e9)[0]:
                done += self.answer()
        return done

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._socket.close()


class Asker:
    """Asks an ``Answerer`` for its clock. The socket does not block: ``fileno()`` fits a selector.

    ``sent_ns`` and ``received_ns`` of its echoes are this machine's clock. A late reading of an answer makes
    the round trip longer and the bound wider, never wrong. Use it in one thread, and close it at the end.
    Raise OSError where the address cannot be resolved.
    """

    def __init__(self, address: Address, token: bytes) -> None:
        self._token = token
        family, _, _, _, found = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(found)
        except OSError:
            self._socket.close()
            raise
        self._sent_ns: dict[int, int] = {}
        self._last = 0

    def fileno(self) -> int:
        """Return the descriptor that is readable when an answer waits."""
        return self._socket.fileno()

    @property
    def last_is_answered(self) -> bool:
        """Return whether the newest question has its answer."""
        return self._last > 0 and self._last not in self._sent_ns

    def ask(self) -> bool:
        """Send one datagram; return False where the network refuses it now."""
        self._last += 1
        self._sent_ns[self._last] = now_ns()
        try:
            self._socket.send(_FRAME.pack(self._token, self._last, 0))
        except OSError:  # nobody listens, no route, or the buffer is full: a datagram may be lost in any way
            return False
        return True

    def collect(self) -> list[Echo]:
        """Return the answers that wait, each one once; never wait for one."""
        echoes: list[Echo] = []
        for _ in range(len(self._sent_ns) + 1):
            try:
                datagram = self._socket.recv(_FRAME.size + 1)
            except OSError:  # none waits, or the last datagram was refused
                break
            received_ns = now_ns()
            if len(datagram) != _FRAME.size:
                continue
            token, number, remote_ns = _FRAME.unpack(datagram)
            if hmac.compare_digest(token, self._token) and number in self._sent_ns:
                echoes.append(Echo(self._sent_ns.pop(number), remote_ns, received_ns))
        return echoes

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._socket.close()


def take_echoes(
    address: Address, token: bytes, count: int = COUNT, deadline_s: float = DEADLINE_S
) -> list[Echo]:
    """Return up to ``count`` echoes of the clock at ``address``, one after the other, until the deadline.

    The list is empty where nobody answers. Raise OSError where the address cannot be resolved.
    """
    end_ns = now_ns() + int(deadline_s * 1e9)
    echoes: list[Echo] = []
    with contextlib.closing(Asker(address, token)) as asker:
        for _ in range(count):
            until_ns = min(now_ns() + RESEND_NS, end_ns)
            if now_ns() >= end_ns:
                break
            if not asker.ask():
                select.select([], [], [], (until_ns - now_ns()) / 1e9)
            while not asker.last_is_answered and _waits(asker, until_ns):
                echoes += asker.collect()
        # An answer that is still on its way counts too, if it comes about as fast as the others.
        longest_ns = max((echo.received_ns - echo.sent_ns for echo in echoes), default=end_ns)
        end_ns = min(end_ns, now_ns() + 2 * longest_ns)
        while len(echoes) < count and _waits(asker, end_ns):
            echoes += asker.collect()
    return echoes


def _waits(asker: Asker, until_ns: int) -> bool:
    """Return whether an answer waits before the time is up."""
    left_ns = until_ns - now_ns()
    return left_ns > 0 and bool(select.select([asker], [], [], left_ns / 1e9)[0])
