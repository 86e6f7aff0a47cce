"""What a process logged is there after it was killed, to the last completed line."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from ipclab.history import Header, ProcessLog, merge, read
from ipclab.history.log import FaultLog
from ipclab.host.clock import now_ns

MANY = 5000


def _work(path: Path, ready: Connection) -> None:
    log = ProcessLog(path, 1)
    for number in range(MANY):
        log.invoke("enqueue", number)
        log.ok()
    log.invoke("enqueue", MANY)
    ready.send("in the middle of it")
    signal.pause()


def test_all_that_was_logged_survives_sigkill(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(tmp_path / "log", theirs))
    process.start()
    try:
        assert ours.poll(60)
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        ours.close()
        theirs.close()
    merge(tmp_path / "history.jsonl.gz", Header(ipclab_history=1, model="queue"), [tmp_path / "log"])
    history = read(tmp_path / "history.jsonl.gz")
    outcomes = [history.operation(i).outcome for i in range(len(history))]
    assert outcomes == ["ok"] * MANY + ["open"]


def test_a_last_line_that_was_not_finished_is_left_out(tmp_path: Path) -> None:
    with ProcessLog(tmp_path / "log", 1) as log:
        log.invoke("dequeue")
    with (tmp_path / "log").open("ab") as file:
        file.write(b'{"process":1,"type":"ok","f":"deq')
    merge(tmp_path / "all", Header(ipclab_history=1, model="queue"), [tmp_path / "log"])
    history = read(tmp_path / "all")
    assert [history.operation(i).outcome for i in range(len(history))] == ["open"]


def test_every_outcome_is_logged(tmp_path: Path) -> None:
    with ProcessLog(tmp_path / "log", "p") as log:
        for complete in (log.ok, log.fail, log.info):
            log.invoke("write", 1, "k")
            complete()
    merge(tmp_path / "all", Header(ipclab_history=1, model="register"), [tmp_path / "log"])
    history = read(tmp_path / "all")
    assert [history.operation(i).outcome for i in range(3)] == ["ok", "fail", "info"]
    assert {history.operation(i).key for i in range(3)} == {"k"}


def test_faults_are_logged_beside_it(tmp_path: Path) -> None:
    log = FaultLog(tmp_path / "log", iter(range(10, 20)).__next__)
    log.begin("pause", "broker")
    log.moment("kill", "consumer-1")
    log.end("pause", "broker")
    log.close()
    merge(tmp_path / "all", Header(ipclab_history=1, model="queue"), [tmp_path / "log"])
    assert [(f.f, f.start_ns, f.end_ns) for f in read(tmp_path / "all").faults] == [
        ("pause", 10, 12),
        ("kill", 11, 11),
    ]


def test_a_completion_without_an_invocation_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with ProcessLog(tmp_path / "log", 1) as log, pytest.raises(ValueError, match="call invoke"):
        log.ok()


def test_a_log_reads_the_clock_of_the_trial_unless_it_is_given_another() -> None:
    assert inspect.signature(ProcessLog).parameters["clock"].default is now_ns
