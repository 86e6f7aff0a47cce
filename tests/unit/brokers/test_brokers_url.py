from __future__ import annotations

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import url
from ipclab.errors import UsageError


def test_a_broker_without_a_variable_has_no_url() -> None:
    assert url.find("redis", {}) is None


def test_an_empty_variable_counts_as_unset() -> None:
    assert url.find("redis", {"REDIS_URL": "  "}) is None


def test_rabbitmq_has_two_names_and_the_first_wins() -> None:
    both = {"RABBITMQ_URL": "amqp://one/", "AMQP_URL": "amqp://two/"}
    assert url.find("rabbitmq", both) == ("RABBITMQ_URL", "amqp://one/")
    assert url.find("rabbitmq", {"AMQP_URL": "amqp://two/"}) == ("AMQP_URL", "amqp://two/")


def test_host_and_port_are_enough_for_memcached() -> None:
    found = url.find("memcached", {"MEMCACHED_URL": "cache.example:11211"})
    assert found == ("MEMCACHED_URL", "memcached://cache.example:11211")


@pytest.mark.parametrize(
    ("kind", "variable", "value"),
    [
        ("redis", "REDIS_URL", "http://:secret@host:6379"),
        ("redis", "REDIS_URL", "redis://:secret@host:nonsense"),
        ("redis", "REDIS_URL", "redis://:secret@"),
        ("rabbitmq", "AMQP_URL", "redis://user:secret@host"),
        ("memcached", "MEMCACHED_URL", "secret@host:11211"),
        ("redis", "REDIS_URL", "default:secret@host:6379"),
        ("redis", "REDIS_URL", "redis:/user:secret@host"),
        ("redis", "REDIS_URL", "redis://:secret"),
    ],
)
def test_a_url_that_is_none_is_named_without_its_password(
    kind: BrokerKind, variable: str, value: str
) -> None:
    with pytest.raises(UsageError) as caught:
        url.find(kind, {variable: value})
    message = str(caught.value)
    assert variable in message
    assert "secret" not in message
    assert "\n" not in message
