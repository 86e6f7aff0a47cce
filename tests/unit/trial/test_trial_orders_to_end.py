"""An order to end reaches the process of a trial wherever it is, and no process that it forked prints it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection

import psutil
import pytest

from ipclab.host.interruptions import EndedBySignal
from ipclab.host.surroundings import end_descendants
from ipclab.trial import inside
from ipclab.trial.phases import watched

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("nothing_left")]


def test_an_order_to_end_is_no_error_of_the_backend() -> None:
    with pytest.raises(EndedBySignal), watched("setup()"):
        raise EndedBySignal(signal.SIGTERM)


class TellsToEnd:
    """Is told to end while it is finalized, where Python swallows every exception."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_an_order_to_end_within_a_finalizer_is_given_again_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pid = os.fork()
    if not pid:
        try:
            inside.settle()
            TellsToEnd()
            time.sleep(10)
        except EndedBySignal:
            os._exit(5)
        finally:
            os._exit(7)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    assert capfd.readouterr().err == ""


def test_no_fork_server_of_a_trial_can_start_a_process_after_its_end() -> None:
    pid = os.fork()
    if not pid:
        code = 7
        try:
            inside.settle()
            multiprocessing.get_context("forkserver").Process(target=int).start()
            server = psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
            end_descendants(os.getpid())
            code = 7 if server.is_running() else 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _say_and_wait(said: Connection) -> None:
    said.send(True)
    time.sleep(60)


def test_a_process_that_a_backend_forked_ends_by_the_signal_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pid = os.fork()
    if not pid:
        inside.settle()
        chosen = multiprocessing.get_context("fork")
        ours, theirs = chosen.Pipe()
        child = chosen.Process(target=_say_and_wait, args=(theirs,))
        child.start()
        # CPython drops a signal that comes before a forked process runs Python again.
        ours.recv()
        child.terminate()
        child.join()
        os._exit(0 if child.exitcode == -signal.SIGTERM else 7)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert capfd.readouterr().err == ""
