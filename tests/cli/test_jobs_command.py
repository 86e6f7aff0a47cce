"""``ipclab run jobs`` and the options about work, as a user gives them."""

from __future__ import annotations

import json

import pytest

from tests.support.program import Ipclab


@pytest.mark.slow
def test_the_answer_about_jobs_rules_out_a_queue_that_loses_the_job_of_a_killed_worker(
    ipclab: Ipclab,
) -> None:
    short = ("--duration", "0.3", "--warmup", "0", "--work", "sleep:1ms")
    ended = ipclab("run", "jobs", "-b", "simple-queue", *short, "--format", "json")
    assert ended.code == 0, ended.err
    whole = json.loads(ended.out)
    (answer,) = whole["jobs"]
    assert (answer["backend"], answer["fits"], answer["killed"]) == ("simple-queue", "no", 1)
    assert {"kind": "lost_when_killed", "amount": 1.0, "limit": 0.0, "what": ""} in answer["reasons"]
    assert {trial["spec"]["work"] for trial in whole["trials"]} == {"1ms"}

    shown = ipclab("show", "latest")
    assert "1 job lost when a worker was killed" in " ".join(shown.out.split())
    assert "Jobs: 0 of 1 backend keep" in " ".join(shown.out.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("latency -b queue --work 5", "is no work: write 5ms, cpu:5ms or exp:5ms"),
        ("latency -b queue --work 5ms --work-fail much", "'much' is not a share; write 1% or 0.01"),
        ("latency -b queue --prefetch 5", "queue has no prefetch: leave out --prefetch"),
    ],
)
def test_work_that_cannot_be_is_refused_in_one_line(ipclab: Ipclab, arguments: str, line: str) -> None:
    ended = ipclab("run", *arguments.split())
    assert ended.code == 2
    assert line in ended.line
