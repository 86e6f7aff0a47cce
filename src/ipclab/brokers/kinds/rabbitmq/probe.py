"""Asks a RabbitMQ with its real client whether it is ready, and which version it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ipclab.brokers.base import mask
from ipclab.brokers.kinds.base import LoginRefusedError, one_line
from ipclab.errors import BrokerUnavailableError

LEAST_S = 0.1


@contextlib.contextmanager
def connection(url: str, timeout_s: float) -> Iterator[Any]:
    """Yield a connection whose every step is bounded; raise failures as BrokerUnavailableError."""
    import pika
    from pika import exceptions
    from pika.adapters.utils.connection_workflow import AMQPConnectorException

    from ipclab.backends.rabbitmq.connection import parameters as connection_parameters

    where = f"RabbitMQ at {mask(url)}"
    parameters = connection_parameters(url)
    parameters.socket_timeout = max(timeout_s, LEAST_S)
    parameters.stack_timeout = max(timeout_s, LEAST_S)
    parameters.blocked_connection_timeout = timeout_s
    try:
        connected = pika.BlockingConnection(parameters)
        try:
            yield connected
        finally:
            with contextlib.suppress(exceptions.AMQPError):
                connected.close()
    except (exceptions.AuthenticationError, exceptions.ProbableAuthenticationError) as error:
        raise LoginRefusedError(f"{where} refuses the login: {one_line(error)}") from None
    except exceptions.ProbableAccessDeniedError as error:
        raise LoginRefusedError(f"{where} refuses this virtual host: {one_line(error)}") from None
    except (exceptions.AMQPError, AMQPConnectorException, OSError, KeyError, TypeError) as error:
        raise BrokerUnavailableError(f"{where} does not answer: {one_line(error)}") from None


def version(url: str, timeout_s: float) -> str:
    """Return the version of the server, once it has opened a channel for its client."""
    with connection(url, timeout_s) as connected:
        connected.channel().close()
        return str(connected._impl.server_properties["version"])
