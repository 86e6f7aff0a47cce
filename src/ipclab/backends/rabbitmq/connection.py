"""How the RabbitMQ backends reach the server: connection parameters, connecting, and deleting a queue."""

from __future__ import annotations

import logging

import pika
import pika.exceptions

from ipclab.backends.rabbitmq.url import check
from ipclab.errors import BrokerUnavailableError

HEARTBEAT_S = 60
BLOCKED_TIMEOUT_S = 60

# Without a handler, logging would print pika's own report of each failure on stderr, with a traceback.
logging.getLogger("pika").addHandler(logging.NullHandler())


def parameters(url: str) -> pika.URLParameters:
    """Return connection parameters from an AMQP URL, with the lab's time-outs where the URL sets none.

    Within ``BLOCKED_TIMEOUT_S``, a server that is out of memory or disk makes a publisher wait. After that,
    or when the server was silent for two heartbeats, the connection fails.

    Raise UsageError for a URL that cannot be used.
    """
    check(url)
    found = pika.URLParameters(url)
    # The lab never retries, whatever a program has in its URL.
    found.connection_attempts = 1
    if found.heartbeat is None:
        found.heartbeat = HEARTBEAT_S
    if found.blocked_connection_timeout is None:
        found.blocked_connection_timeout = BLOCKED_TIMEOUT_S
    return found


def connect(url: str) -> pika.BlockingConnection:
    """Connect and log in. Raise BrokerUnavailableError."""
    chosen = parameters(url)
    try:
        return pika.BlockingConnection(chosen)
    except (pika.exceptions.AMQPError, OSError) as error:
        raise unavailable(chosen, error) from error


def unavailable(chosen: pika.ConnectionParameters, error: BaseException) -> BrokerUnavailableError:
    """Return the error for the user when a connection failed with ``error``."""
    return BrokerUnavailableError(
        f"no RabbitMQ connection to {chosen.host}:{chosen.port}, virtual host {chosen.virtual_host}: "
        f"{_cause(error)}; check that the server runs, and the address, user and password"
    )


def delete_queue(url: str, queue: str) -> None:
    """Delete a queue and all in it; ignore a missing one. Raise BrokerUnavailableError."""
    with connect(url) as connection:
        connection.channel().queue_delete(queue)


def _cause(error: BaseException) -> str:
    """Return the innermost of the exceptions that pika nests, in one line."""
    while True:
        if wrapped := getattr(error, "exceptions", None):
            error = wrapped[-1]
        elif isinstance(inner := getattr(error, "exception", None), BaseException) or (
            error.args and isinstance(inner := error.args[0], BaseException)
        ):
            error = inner
        else:
            return " ".join(str(error).split()) or type(error).__name__
