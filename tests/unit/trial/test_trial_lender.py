"""The broker of a trial: the lab itself acts on it, also for a question in whose middle it is interrupted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipclab.backends.registry import Variant
from ipclab.brokers.base import Broker, Usage
from ipclab.errors import UnknownNameError, UsageError
from ipclab.host.interruptions import ending_blocked
from ipclab.trial import inside, outside
from ipclab.trial.borrowed import BorrowedBroker
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("nothing_left")]


class NotOurs(Broker):
    """Writes down who called it."""

    provider = "native"

    def __init__(self) -> None:
        super().__init__("redis", "redis://127.0.0.1:1", "7", ours=True, where="pid 1")
        self.calls: list[tuple[str, int]] = []

    def _note(self, name: str) -> None:
        self.calls.append((name, os.getpid()))

    def usage(self) -> Usage | None:
        self._note("usage")
        return Usage(1.5, None)

    def alive(self) -> bool:
        return True

    def pause(self) -> None:
        raise UsageError("not this one")

    def resume(self) -> None:
        self._note("resume")

    def kill(self) -> None:
        self._note("kill")

    def shut_down(self) -> None:
        self._note("shut_down")

    def restart(self) -> None:
        self._note("restart")
        self.where = "pid 2"

    def execute(self, *command: str, timeout_s: float = 1.0) -> str:
        self._note("execute")
        return " ".join(command)

    def stop(self) -> None:
        self._note("stop")


def use_the_broker(job: inside.Job) -> TrialRecord:
    broker = job.broker
    assert isinstance(broker, BorrowedBroker)
    assert broker.usage() == Usage(1.5, None)
    broker.restart()
    said = [broker.where, broker.execute("a", "b"), str(broker.alive())]
    try:
        broker.pause()
    except UsageError as error:
        said.append(str(error))
    return a_record(job, reason=", ".join(said))


def a_record(job: inside.Job, reason: str = "") -> TrialRecord:
    return TrialRecord(spec=job.spec, began_utc="", outcome="failed", reason=reason)


def a_job(folder: Path, broker: Broker | None = None) -> inside.Job:
    from ipclab.backends.base import Site

    spec = TrialSpec(workload="stream", backend=Variant("hostile"))
    return inside.Job(
        spec=spec, site=Site(namespace="ipclab:unit"), folder=folder, broker=broker, history=None
    )


def test_what_is_done_to_a_broker_is_done_by_the_lab_itself(tmp_path: Path) -> None:
    broker = NotOurs()
    job = a_job(tmp_path, broker)

    record = outside.run(job, use_the_broker, a_record(job))

    assert record.reason == "pid 2, a b, True, not this one"
    assert broker.calls == [(name, os.getpid()) for name in ("usage", "restart", "execute")]


class Interrupted(NotOurs):
    """The lab is told to end while it does the first ``revive()``."""

    def revive(self) -> None:
        self._note("revive")
        if len(self.calls) == 1:
            raise KeyboardInterrupt


def test_a_trial_restores_what_it_changed_when_the_lab_ends_in_the_middle_of_its_question(
    tmp_path: Path,
) -> None:
    restored, broker = tmp_path / "restored", Interrupted()

    def restore(job: inside.Job) -> TrialRecord:
        assert job.broker is not None
        with ending_blocked():
            job.broker.revive()
            restored.write_text("yes")
        return a_record(job)

    job = a_job(tmp_path, broker)
    with pytest.raises(KeyboardInterrupt):
        outside.run(job, restore, a_record(job))

    assert broker.calls == [("revive", os.getpid())] * 2
    assert restored.exists()


def test_what_cannot_be_carried_out_is_raised_in_the_lab_with_its_class(tmp_path: Path) -> None:
    def refuse(job: inside.Job) -> TrialRecord:
        raise UnknownNameError("option", "sise", ["size"])

    job = a_job(tmp_path)
    with pytest.raises(UsageError, match="no option is called 'sise'; did you mean size"):
        outside.run(job, refuse, a_record(job))
