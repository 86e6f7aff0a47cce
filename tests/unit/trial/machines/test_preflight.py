"""What is refused before anything runs on several machines."""

from __future__ import annotations

import msgspec
import pytest

from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.hosts import far_end
from ipclab.hosts.host import Facts
from ipclab.trial.check import check
from ipclab.trial.machines.preflight import is_loopback, refuse_loopback
from ipclab.trial.spec import TrialSpec

HERE = msgspec.convert(far_end.facts(), type=Facts)
ELSEWHERE = msgspec.structs.replace(HERE, network="another")
PLACED = {"producer": [1], "consumer": [2]}


def spec(workload: str, backend: str, **settings: object) -> TrialSpec:
    return TrialSpec(workload=workload, backend=Variant(backend), placement=PLACED, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (spec("stream", "queue"), "queue reaches one process tree only"),
        (spec("counter", "value"), "value reaches one process tree only"),
        (spec("crash", "redis-stream"), "the workload crash runs on one machine"),
        (spec("lock", "redis"), "the workload lock runs on one machine"),
        (spec("stream", "redis-stream", codec="shm", payload="dict"), "shared memory connects"),
        (spec("stream", "redis-stream", work="1ms", work_fail_share=0.1), "work that fails"),
    ],
)
def test_what_several_machines_cannot_run_is_refused_in_one_line(asked: TrialSpec, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        check(asked)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("workload", ["stream", "ping-pong"])
def test_a_channel_with_a_server_can_connect_machines(workload: str) -> None:
    check(spec(workload, "redis-stream"))


def test_a_broker_on_loopback_is_refused_for_a_machine_elsewhere() -> None:
    url = "redis://127.0.0.1:6379/0"
    refuse_loopback("redis", url, {1: HERE})
    refuse_loopback("redis", "redis://10.0.0.1:6379/0", {1: ELSEWHERE})
    with pytest.raises(UsageError, match=r"which machine 2 cannot reach: name a server .* by REDIS_URL"):
        refuse_loopback("redis", url, {1: HERE, 2: ELSEWHERE})


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("redis://localhost:1/0", True),
        ("memcached://[::1]:1", True),
        ("redis://:secret@127.0.0.2:1", True),
        ("amqp://u:p@broker.example:5672/", False),
        ("redis://10.1.2.3", False),
    ],
)
def test_loopback_is_recognised(url: str, loopback: bool) -> None:
    assert is_loopback(url) == loopback
