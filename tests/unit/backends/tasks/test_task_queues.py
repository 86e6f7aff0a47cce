"""The contract of task queues: what each declares, names and needs."""

from __future__ import annotations

import pytest

from ipclab.backends.base import Site
from ipclab.backends.registry import Variant, backend_names, task_class
from ipclab.backends.tasks.base import Launch, TaskQueue
from ipclab.backends.tasks.redis import contains, texts_in
from ipclab.errors import UsageError
from ipclab.experiment import Request, load
from ipclab.trial import workloads

SECRET = "redis://:hidden@localhost/0"


def made(name: str) -> TaskQueue:
    return task_class(Variant(name))(Site(namespace="ipclab:ab12-3:0", url=SECRET))


@pytest.mark.parametrize("name", backend_names("task"))
def test_a_task_queue_declares_its_guarantees_and_its_libraries(name: str) -> None:
    queue = made(name)
    assert queue.guarantees.order == "none"
    assert queue.redelivers_after_s >= 0
    assert queue.in_process == (not queue.libraries)
    assert queue.in_process == (queue.broker is None)


@pytest.mark.parametrize("name", [name for name in backend_names("task") if made(name).broker])
def test_the_command_of_a_worker_contains_no_password(name: str) -> None:
    launch: Launch = made(name).worker(0)
    assert "hidden" not in " ".join(launch.argv)


def test_a_missing_framework_is_one_line_with_the_command_that_installs_it() -> None:
    class Missing(type(made("rq"))):  # type: ignore[misc]
        libraries = ("no-such-framework",)

    with pytest.raises(
        UsageError, match=r"^rq needs the package no-such-framework: pip install 'ipclab\[tasks\]'$"
    ):
        Missing.versions()


def test_a_body_is_found_in_a_value_that_is_compressed_or_in_base64() -> None:
    import base64
    import zlib

    text = b'[["task-1"], {}, null]'
    for blob in (text, zlib.compress(text), b'{"body": "' + base64.b64encode(text) + b'"}'):
        assert any(contains(one, "task-1") for one in texts_in(blob))
        assert not any(contains(one, "task-2") for one in texts_in(blob))


def test_a_body_is_not_found_in_a_longer_one() -> None:
    assert not contains(b"task-12", "task-1")
    assert not contains(b"sub-task-1", "task-1")
    assert contains(b'"task-1"', "task-1")


def test_the_experiment_tries_every_row_calm_and_each_usual_fault_that_it_can_suffer() -> None:
    plan = load("tasks").plan(Request(backends=(Variant("rq"), Variant("pool"))))
    seen = {(str(s.backend), str(s.task_fault or "calm"), tuple(s.broker_settings)) for s in plan.trials}
    assert ("rq", "calm", ()) in seen
    assert ("rq", "kill broker, mid-task", ("appendonly",)) in seen
    assert ("pool", "kill executor, mid-task", ()) in seen
    assert not any(name == "pool" and "broker" in fault for name, fault, _ in seen)


def test_the_experiment_takes_a_target_and_a_fault() -> None:
    plan = load("tasks").plan(Request(backends=(Variant("rq"),), faults=("terminate",), targets=("worker",)))
    faults = [str(spec.task_fault) for spec in plan.trials if spec.task_fault]
    assert faults == ["terminate worker, idle", "terminate worker, reserved", "terminate worker, mid-task"]
    assert all(workloads.of(spec).name == "tasks" for spec in plan.trials)


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (Request(faults=("cut",)), "tasks has no --fault cut"),
        (Request(targets=("producer",)), "tasks has no --target producer"),
    ],
)
def test_a_fault_of_channels_is_refused_in_one_line(request_: Request, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        load("tasks").plan(request_)


def test_the_target_of_a_task_queue_is_refused_by_the_experiment_crash() -> None:
    with pytest.raises(UsageError, match="crash has no target tree: use the experiment tasks"):
        load("crash").plan(Request(targets=("tree",)))


def test_a_task_queue_in_an_experiment_of_channels_is_sent_to_the_experiment_tasks() -> None:
    line = "nothing to measure on rq; a task queue is measured by: ipclab run tasks -b rq"
    with pytest.raises(UsageError, match=line):
        load("throughput").plan(Request(backends=(Variant("rq"),)))


def test_an_installed_framework_is_not_imported_to_list_or_plan() -> None:
    import subprocess
    import sys

    frameworks = "celery rq dramatiq huey taskiq procrastinate"
    program = (
        "import sys; from ipclab.experiment import Request, load; load('tasks').plan(Request());"
        f"print([name for name in '{frameworks}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
