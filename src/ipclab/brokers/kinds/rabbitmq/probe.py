"""Asks a RabbitMQ with its real client whether it is ready, and which version it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ipclab.brokers.base import mask
from ipclab.brokers.kinds.base import PROBE_MOST_BYTES, PROBE_TIMEOUT_S, LoginRefusedError, one_line
from ipclab.errors import BrokerUnavailableError
from ipclab.host.bounded_socket import Bounds, TooMuchError

LEAST_S = 0.1
_CLOSE_WITHIN_S = 1.0


@contextlib.contextmanager
def connection(url: str, timeout_s: float, bounds: Bounds | None = None) -> Iterator[Any]:
    """Yield a connection that is bounded; raise failures as BrokerUnavailableError.

    Connecting takes at most ``timeout_s``. After that, the connection reads at most PROBE_MOST_BYTES within
    PROBE_TIMEOUT_S, unless ``bounds`` say otherwise.
    """
    import pika
    from pika import exceptions
    from pika.adapters.utils.connection_workflow import AMQPConnectorException

    from ipclab.backends.rabbitmq.connection import parameters as connection_parameters

    where = f"RabbitMQ at {mask(url)}"
    parameters = connection_parameters(url)
    parameters.socket_timeout = max(timeout_s, LEAST_S)
    parameters.stack_timeout = max(timeout_s, LEAST_S)
    parameters.blocked_connection_timeout = timeout_s
    bounds = bounds or Bounds(PROBE_MOST_BYTES, PROBE_TIMEOUT_S)
    try:
        connected = pika.BlockingConnection(parameters, _impl_class=_bounded(bounds.most_bytes))
        try:
            with _within(connected, bounds.within_s):
                yield connected
        finally:
            try:
                if connected.is_open:
                    with _within(connected, _CLOSE_WITHIN_S):
                        connected.close()
            except (exceptions.AMQPError, OSError):
                connected._cleanup()
    except (exceptions.AuthenticationError, exceptions.ProbableAuthenticationError) as error:
        raise LoginRefusedError(f"{where} refuses the login: {one_line(error)}") from None
    except exceptions.ProbableAccessDeniedError as error:
        raise LoginRefusedError(f"{where} refuses this virtual host: {one_line(error)}") from None
    except (exceptions.AMQPError, AMQPConnectorException, OSError, KeyError, TypeError) as error:
        raise BrokerUnavailableError(f"{where} does not answer: {one_line(error)}") from None


def _bounded(most_bytes: int) -> Any:
    """Return pika's class of connections with a bound on what each of them takes in."""
    from pika import SelectConnection

    class _Bounded(SelectConnection):  # type: ignore[misc]
        _left_bytes = most_bytes

        def _on_data_available(self, data_in: bytes) -> None:
            self._left_bytes -= len(data_in)
            if self._left_bytes < 0:
                raise TooMuchError("it sends more than any answer has")
            super()._on_data_available(data_in)

    return _Bounded


@contextlib.contextmanager
def _within(connected: Any, seconds: float) -> Iterator[None]:
    """Make any call of this connection raise TimeoutError after so much time."""

    def expire() -> None:
        raise TimeoutError(f"no whole answer within {seconds:g} s")

    # The loop that every blocking call runs calls it.
    loop = connected._impl.ioloop
    timer = loop.call_later(seconds, expire)
    try:
        yield
    finally:
        loop.remove_timeout(timer)


def version(url: str, timeout_s: float) -> str:
    """Return the version of the server, once it has opened a channel for its client."""
    with connection(url, timeout_s) as connected:
        connected.channel().close()
        return str(connected._impl.server_properties["version"])
