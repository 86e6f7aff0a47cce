"""What a confirm is worth: when the server is killed, comes back, or refuses a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import Broker
from ipclab.conform import modes
from ipclab.conform.bench import Bench
from ipclab.conform.crash import Crash
from ipclab.conform.modes import Mode
from ipclab.conform.promises import servers, which
from ipclab.conform.suite import Case
from tests.conformance.conftest import asked, keep

pytestmark = pytest.mark.timeout(120, method="signal")
PROMISES = servers.PROMISES
BrokerOf = Callable[[BrokerKind], Broker]


@pytest.fixture(scope="module")
def crash_of(private_broker_of: BrokerOf, pytestconfig: pytest.Config) -> Iterator[Callable[[Mode], Crash]]:
    """The crash of the server of a mode: one for each kind, since a server starts again slowly."""
    crashes: dict[BrokerKind, Crash] = {}
    found = modes.with_windows(modes.channels(asked(pytestconfig)))
    wanted = [mode for mode in found if which.served_confirming(mode)]
    with ExitStack() as stack:

        def find(mode: Mode) -> Crash:
            kind = mode.channel.broker
            assert kind is not None
            if kind not in crashes:
                used = [m for m in wanted if m.channel.broker == kind]
                crashes[kind] = Crash(Bench(stack, private_broker_of), kind, used)
            return crashes[kind]

        yield find


@pytest.fixture
def private_bench(private_broker_of: BrokerOf, crash_of: Callable[[Mode], Crash]) -> Iterator[Bench]:
    """A bench whose servers may be broken."""
    with ExitStack() as stack:
        yield Bench(stack, private_broker_of, crash_of)


def test_every_backend_keeps_the_promise(private_bench: Bench, case: Case) -> None:
    keep(case, private_bench)
