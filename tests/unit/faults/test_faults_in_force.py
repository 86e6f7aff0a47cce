"""A fault is in force or is not, by what the system says: one that did not take effect shows nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipclab.faults.actions import cut, kill, pause, terminate
from ipclab.faults.proxy.handle import Proxy
from ipclab.faults.server import Server
from ipclab.history.log import FaultLog
from ipclab.host import stillness
from ipclab.trial.cast import Cast
from ipclab.trial.processes import Worker
from tests.support.troubled import troubled
from tests.unit.trial.test_trial_cast import SPEC

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]
WITHIN_S = 20.0


@pytest.fixture
def worker(tmp_path: Path, nothing_left: None) -> Iterator[Worker]:
    """A producer that waits for orders."""
    with ExitStack() as stack:
        channel = troubled()
        stack.callback(channel.teardown)
        cast = stack.enter_context(Cast(SPEC, channel, tmp_path))
        member = cast.start("producer", 0)
        assert cast.ready([member], WITHIN_S)
        yield member


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FaultLog]:
    log = FaultLog(tmp_path / "faults")
    yield log
    log.close()


def entries(tmp_path: Path) -> list[str]:
    """The kinds of lines in the log of faults."""
    text = (tmp_path / "faults").read_text()
    return ["invoke" if '"invoke"' in line else "info" for line in text.splitlines()]


def test_a_worker_is_killed_by_us_or_was_gone_already(worker: Worker, log: FaultLog) -> None:
    assert kill.kill_worker(log, worker)
    assert stillness.gone(worker.pid)


def test_a_worker_that_something_else_had_ended_was_not_killed(worker: Worker, log: FaultLog) -> None:
    os.kill(worker.pid, signal.SIGTERM)
    worker.process.join()

    assert not kill.kill_worker(log, worker)


def test_a_worker_that_is_told_to_end_closes_and_ends(worker: Worker, log: FaultLog, tmp_path: Path) -> None:
    assert terminate.ask_to_end(log, worker)
    assert worker.child.wait_for_end(WITHIN_S)

    assert entries(tmp_path) == ["info"]
    worker.child.hear()
    assert worker.child.fault == "SystemExit: it called sys.exit(143)"


def test_a_worker_that_was_gone_could_not_be_told_to_end(worker: Worker, log: FaultLog) -> None:
    worker.child.kill()

    assert not terminate.ask_to_end(log, worker)


def test_a_paused_worker_is_stopped_until_it_is_let_go(worker: Worker, log: FaultLog, tmp_path: Path) -> None:
    with pause.paused_worker(log, worker) as in_force:
        assert in_force()
        assert stillness.stopped(worker.pid)

    assert not stillness.stopped(worker.pid)
    assert entries(tmp_path) == ["invoke", "info"]


def test_a_pause_that_somebody_ended_is_not_in_force(
    worker: Worker, log: FaultLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stillness.all_stopped, "__defaults__", (0.1,))
    with pause.paused_worker(log, worker) as in_force:
        os.kill(worker.pid, signal.SIGCONT)
        assert not in_force()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
def test_whatever_is_raised_meanwhile_it_goes_on(
    raised: type[BaseException], worker: Worker, log: FaultLog, tmp_path: Path
) -> None:
    with pytest.raises(raised), pause.paused_worker(log, worker):
        raise raised

    assert not stillness.stopped(worker.pid)
    assert entries(tmp_path) == ["invoke", "info"]


def test_a_server_of_the_backend_s_own_is_frozen_and_ends(
    worker: Worker, log: FaultLog, tmp_path: Path
) -> None:
    server = Server(None, [worker.pid])
    with pause.paused_server(log, server) as in_force:
        assert in_force()
    assert not stillness.stopped(worker.pid)

    with kill.killed_server(log, server) as in_force:
        assert in_force()

    # It does not come again, so that its end has no end.
    assert entries(tmp_path) == ["invoke", "info", "invoke"]


def test_a_server_that_outlives_its_kill_has_not_ended(
    worker: Worker, log: FaultLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stillness.all_gone, "__defaults__", (0.1,))
    monkeypatch.setattr(Server, "kill", lambda _self: None)

    with kill.killed_server(log, Server(None, [worker.pid])) as in_force:
        assert not in_force()


def test_a_line_is_cut_only_where_there_is_one(worker: Worker, log: FaultLog, proxy: Proxy) -> None:
    with cut.swallowed(log, proxy, worker.name, [worker]) as in_force:
        assert not in_force()


def test_who_is_connected_through_the_proxy_is_cut_off(
    log: FaultLog, proxy: Proxy, connect: Callable[[Proxy], object], worker: Worker
) -> None:
    client = connect(proxy)

    assert client
    assert cut.is_connected(os.getpid(), proxy.port)
    assert not cut.is_connected(os.getpid(), proxy.port + 1)
    assert not cut.is_connected(worker.pid, proxy.port)
