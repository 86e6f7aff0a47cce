"""A RabbitMQ stream over AMQP: a log on disk, in which each consumer has a place of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import pika.exceptions

from ipclab.backends.base import Consumer, Guarantees, LossCause, Option
from ipclab.backends.rabbitmq.channels import (
    MAX_MESSAGE_BYTES,
    AcknowledgingSubscriber,
    RabbitmqChannel,
)

OFFSET = Option(
    "offset",
    "next",
    "where a consumer that starts begins to read: what comes next, or all of it again",
    ("next", "first"),
)
CREDIT = Option("prefetch", 100, "messages that the server sends ahead of acknowledgements")
_NOT_IMPLEMENTED = 540
_OPENS_WITHIN_S = 15.0
"""After a restart the server answers before it has opened its streams."""


class RabbitmqStreamChannel(RabbitmqChannel):
    """A stream. Every consumer reads all of it, and reading deletes nothing; the lab sets no limit to it.

    Over AMQP the server keeps no offset: the consumer says where it begins. With ``offset=next`` one that
    starts again after a fault has missed what was sent meanwhile, and what its predecessor had not handled:
    at most once, and a restart of the server costs it messages that the server still has. With
    ``offset=first`` it reads the whole stream again: at least once, and everything twice.
    An acknowledgement lets the server send more, and marks nothing as done.
    """

    name = "rabbitmq-stream"
    summary = "RabbitMQ stream: a log on disk that every consumer reads at an offset of its own"
    options = (OFFSET, CREDIT)

    settles_after_s = 3.0
    queue_arguments: ClassVar[Mapping[str, str | int]] = {"x-queue-type": "stream"}

    @property
    def guarantees(self) -> Guarantees:
        missed: set[LossCause] = {"consumer crash", "connection loss", "broker crash"}
        return Guarantees(
            delivery="at-least-once" if self._replays else "at-most-once",
            may_lose=frozenset() if self._replays else frozenset(missed),
            order="per-producer",
            durability="disk" if self._replays else "none",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_MESSAGE_BYTES,
            fan_out=True,
            log_offset="consumer",
            log_retention="unlimited",
        )

    def consumer(self, index: int) -> Consumer:
        offset = str(self.chosen["offset"])
        return StreamReader(
            self.site.broker_url,
            self.queue,
            self.site.window,
            int(self.chosen["prefetch"]),
            {"x-stream-offset": offset},
        )

    def teardown(self) -> None:
        """Delete the stream, which takes some time right after a restart of the server."""
        until_s = time.monotonic() + _OPENS_WITHIN_S
        while True:
            try:
                return super().teardown()
            except pika.exceptions.ChannelClosedByBroker:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.2)

    @property
    def most_in_flight(self) -> int | None:
        return int(self.chosen["prefetch"]) if self._replays else None

    @property
    def _replays(self) -> bool:
        return self.chosen["offset"] == "first"

    @property
    def _confirmed(self) -> bool:
        return True


class StreamReader(AcknowledgingSubscriber):
    """Reads the stream; its acknowledgements are credit for the server. A stream takes nothing back."""

    rejects = False

    def close(self) -> None:
        # pika rejects what has arrived and was not received yet. The server answers that a stream knows no
        # rejection by closing the connection, which is what is wanted.
        try:
            super().close()
        except pika.exceptions.ConnectionClosedByBroker as error:
            if error.reply_code != _NOT_IMPLEMENTED:
                raise
