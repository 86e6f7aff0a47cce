"""Asks a RabbitMQ with its real client whether it is ready, and which version it is."""

from __future__ import annotations

import contextlib

from ipclab.brokers.base import mask
from ipclab.brokers.kinds.base import LoginRefusedError, one_line
from ipclab.errors import BrokerUnavailableError


def version(url: str, timeout_s: float) -> str:
    """Return the version of the server, once it has opened a channel for its client."""
    import pika
    from pika import exceptions
    from pika.adapters.utils.connection_workflow import AMQPConnectorException

    from ipclab.backends.rabbitmq.connection import parameters as connection_parameters

    parameters = connection_parameters(url)
    parameters.socket_timeout = timeout_s
    parameters.stack_timeout = timeout_s
    parameters.blocked_connection_timeout = timeout_s
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            properties = connection._impl.server_properties
            connection.channel().close()
            return str(properties["version"])
        finally:
            with contextlib.suppress(exceptions.AMQPError):
                connection.close()
    except (exceptions.AuthenticationError, exceptions.ProbableAuthenticationError) as error:
        raise LoginRefusedError(f"RabbitMQ at {mask(url)} refuses the login: {one_line(error)}") from None
    except exceptions.ProbableAccessDeniedError as error:
        raise LoginRefusedError(
            f"RabbitMQ at {mask(url)} refuses this virtual host: {one_line(error)}"
        ) from None
    except (exceptions.AMQPError, AMQPConnectorException, OSError, KeyError, TypeError) as error:
        raise BrokerUnavailableError(f"RabbitMQ at {mask(url)} does not answer: {one_line(error)}") from None
