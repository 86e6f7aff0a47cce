"""A result of a container says above its table what differs there: the network, a limit on CPU time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ipclab.cli import doctor
from ipclab.report import heading
from ipclab.results.encoding import encode
from ipclab.results.reader import parse
from ipclab.results.result import Result
from ipclab.trial.record import BrokerFacts
from tests.support.records import Make


def contained() -> Result:
    """A result of a lab in a container that may use half a core."""
    result = Make().result()
    return msgspec.structs.replace(
        result,
        environment=msgspec.structs.replace(result.environment, cpu_limit=0.5),
        brokers=[
            BrokerFacts(
                kind="redis",
                provider="compose",
                version="8.2.1",
                url="redis://redis:6379/0",
                network="container network",
            )
        ],
    )


def test_the_heading_names_the_network_and_the_limit() -> None:
    machine, brokers, *_ = heading.lines(contained())
    assert machine.startswith("Machine: 2 cores (limited to the CPU time of 0.5), ")
    assert brokers == "Brokers: redis 8.2.1 (compose, container network)"


def test_without_a_container_the_heading_is_as_before() -> None:
    machine, brokers, *_ = heading.lines(Make().result())
    assert machine.startswith("Machine: 2 cores, ")
    assert brokers == "Brokers: redis 7.0.15 (native)"


def test_network_and_limit_are_only_stored_where_they_say_something() -> None:
    plain: dict[str, Any] = msgspec.json.decode(encode(Make().result()))
    assert "cpu_limit" not in plain["environment"]
    assert "network" not in plain["brokers"][0]
    assert parse(encode(contained()), "it") == contained()


@pytest.mark.parametrize(
    ("limit", "cores", "words"), [(None, 2, "none"), (0.5, 2, "0.5 of 2 cores – processes take turns")]
)
def test_doctor_says_half_a_core(limit: float | None, cores: int, words: str) -> None:
    assert doctor._cpu_limit(limit, cores).startswith(words)
