"""Reads from a RabbitMQ its alarms, permissions, policies and limits, and whether a run can use it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ipclab.backends.base import Guarantees
from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import PROBE_MOST_BYTES
from ipclab.brokers.kinds.rabbitmq import probe
from ipclab.brokers.kinds.state import ServerState
from ipclab.errors import IpclabError
from ipclab.host.bounded_socket import Bounds

UNTOLD = "not told over AMQP"
MANAGEMENT_PORT = 15672
_MANAGEMENT = Bounds(most_bytes=PROBE_MOST_BYTES, within_s=2.0)
_BLOCKED_WITHIN_S = 1.0
_DROPPING = ("max-length", "max-length-bytes", "message-ttl", "expires", "overflow")
"""Keys of a policy by which the server drops confirmed messages, or whole queues."""
_ASK_ALL = (
    "Map = fun(M) when is_map(M) -> M; (L) -> maps:from_list(L) end, "
    "Policies = [maps:with([pattern, priority, definition], "
    "maps:map(fun(definition, D) -> Map(D); (_, V) -> V end, Map(P))) || P <- rabbit_policy:list()], "
    'Type = try rabbit_vhost:default_queue_type(<<"/">>) catch _:_ -> undefined end, '
    "base64:encode(rabbit_json:encode(#{policies => Policies, default_queue_type => Type, "
    "consumer_timeout => application:get_env(rabbit, consumer_timeout, undefined), "
    "limits => [Map(L) || {_, L} <- rabbit_vhost_limit:list()]}))."
)
"""Erlang that returns all settings in one call, since each call starts a program of its own: JSON, written in
base64, because Erlang shows a text of other characters as a list of numbers."""
_LIKE_OURS = "ipclab:0:0:queue"


def describe(broker: Broker) -> ServerState:
    """Return the server's settings. Raise BrokerUnavailableError where it does not answer."""
    with probe.connection(broker.url, _BLOCKED_WITHIN_S) as connection:
        properties = connection._impl.server_properties
        settings = {
            "product": _text(properties.get("product", "")),
            "cluster_name": _text(properties.get("cluster_name", "")),
            "channel_max": str(connection._impl.params.channel_max),
            "frame_max": str(connection._impl.params.frame_max),
        }
        unusable = _unusable(connection)
    settings["blocked"] = "yes" if "alarm" in unusable else "no"
    told = _by_program(broker) if broker.ours else _by_management(broker.url)
    settings |= dict.fromkeys(("policies", "default_queue_type", "consumer_timeout", "limits"), UNTOLD) | told
    return ServerState(settings=settings, unusable=unusable)


def under(guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
    """Return what is declared on a server with these policies: a policy that drops messages adds overload."""
    if any(f"{key}=" in settings.get("policies", "") for key in _DROPPING):
        return replace(guarantees, may_lose=guarantees.may_lose | {"overload"})
    return guarantees


def _unusable(connection: Any) -> str:
    """Return why a run cannot use the server. Make and delete a queue, and publish an unroutable message."""
    from pika import exceptions

    queue = f"ipclab:probe-{secrets.token_hex(4)}"
    try:
        channel = connection.channel()
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        channel.confirm_delivery()
        # Confirmed at once, because no queue gets it, unless an alarm makes publishers wait.
        channel.basic_publish("", f"{queue}-nobody", b"")
        channel.queue_delete(queue)
    except exceptions.ConnectionBlockedTimeout:
        return "blocks publishers because of a memory or disk alarm: free some, then run again"
    except exceptions.ChannelClosedByBroker as error:
        if error.reply_code == 403:
            return (
                "denies this user a permission; the user must be allowed to configure, write and read "
                f"ipclab:.* and to write amq.default: {error.reply_text}"
            )
        return f"refuses a queue: {error.reply_text}"
    return ""


def _by_program(broker: Broker) -> dict[str, str]:
    """Return what the server's own program reports, for a server of the lab."""
    try:
        answer = broker.execute("rabbitmqctl", "-q", "eval", _ASK_ALL)
        told = json.loads(base64.b64decode("".join(re.findall(r'"([^"]*)"', answer)), validate=True))
        return {
            "policies": _matching(told["policies"], "definition"),
            "default_queue_type": _queue_type(str(told["default_queue_type"])),
            "consumer_timeout": str(told["consumer_timeout"]),
            "limits": json.dumps(told["limits"]),
        }
    except (IpclabError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _queue_type(name: str) -> str:
    """Return a type such as ``quorum`` from the name of Erlang's module for it; without one it is classic."""
    return "classic" if name == "undefined" else name.removeprefix("rabbit_").removesuffix("_queue")


def _by_management(url: str) -> dict[str, str]:
    """Return what the management API reports, where it listens on its usual port and the login is already
    sent without encryption."""
    parts = urlsplit(url)
    if parts.scheme != "amqp" or parts.hostname is None:
        return {}
    vhost = unquote(parts.path[1:]) or "/"
    found: dict[str, str] = {}
    try:
        policies = _get(parts, f"policies/{quote(vhost, safe='')}")
        found["policies"] = _matching(policies, "definition")
        shown = _get(parts, f"vhosts/{quote(vhost, safe='')}")
        found["default_queue_type"] = _text(shown.get("default_queue_type", "classic"))
        limits = _get(parts, f"vhost-limits/{quote(vhost, safe='')}")
        found["limits"] = json.dumps([limit.get("value", {}) for limit in limits])
    except (OSError, HTTPException, ValueError, AttributeError, KeyError, TypeError):
        return found
    return found


def _get(parts: Any, path: str) -> Any:
    login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
    header = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    with contextlib.closing(HTTPConnection(parts.hostname, MANAGEMENT_PORT, _MANAGEMENT.within_s)) as link:
        link.connect()
        bounded: Any = _MANAGEMENT.around(link.sock)
        link.sock = bounded
        link.request("GET", f"/api/{path}", headers=header)
        answer = link.getresponse()
        if answer.status != HTTPStatus.OK:
            raise OSError(f"the management API answers with {answer.status}")
        return json.loads(answer.read())


def _matching(policies: Any, key: str) -> str:
    """Return the policies that match a queue of the lab, such as ``max-length=10``; the strongest last."""
    said: dict[str, Any] = {}
    for policy in sorted(policies, key=lambda policy: policy.get("priority", 0)):
        if re.search(policy["pattern"], _LIKE_OURS):
            definition = policy[key]
            said |= json.loads(definition) if isinstance(definition, str) else definition
    return ", ".join(f"{name}={value}" for name, value in sorted(said.items())) or "none"


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
