"""A lock made of one RabbitMQ message: the client that holds the message holds the lock."""

from __future__ import annotations

from typing import Literal

from ipclab.backends.base import Option, Pause
from ipclab.backends.rabbitmq.counter import TokenClient, TokenQueue
from ipclab.backends.shared import Mutex, MutexClient


class RabbitmqMutex(TokenQueue, Mutex):
    """Discipline ``token``: a queue holds exactly one message. A client acquires the lock by receiving the
    message, and releases it by returning the message. If a holder's connection ends, the broker requeues it.

    So it is safe only while no holder is delayed for longer than the heartbeat allows (60 s here): after that
    the broker gives the message to another client.
    """

    name = "rabbitmq"
    summary = "RabbitMQ, one message as the lock"
    options = (Option("discipline", "token", "the holder of the one message holds the lock", ("token",)),)

    @property
    def safe(self) -> bool:
        return True

    @property
    def reach(self) -> Literal["network"]:
        return "network"

    def client(self, index: int) -> MutexClient:
        return _Client(TokenClient(self.site.broker_url, self.queue))

    def held_client(self, index: int, pause: Pause) -> None:
        return None


class _Client(MutexClient):
    def __init__(self, token: TokenClient) -> None:
        self._token = token
        self._tag = 0

    def acquire(self) -> None:
        self._tag, _ = self._token.take()

    def release(self) -> None:
        self._token.give_back(self._tag)

    def close(self) -> None:
        self._token.close()
