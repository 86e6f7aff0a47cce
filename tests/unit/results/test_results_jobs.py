"""Which backends fit the jobs of a run, and the reasons why the others do not, as data and in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ipclab.host.texts import speaking
from ipclab.report import brief, csv, html, jobs_table, json, table, terminal
from ipclab.report.look import Look
from ipclab.results import reader
from ipclab.results.jobs import answers
from ipclab.trial.record import Safety, TrialRecord, Worked
from tests.support import safety
from tests.support.records import Make

replace = msgspec.structs.replace
FAST = range(1_000_000, 1_000_000 + 3000 * 1000, 1000)
SLOW = range(1_000_000, 1_000_000 + 3000 * 25_000, 25_000)
"""Its p99 is 75 ms."""


def load(make: Make, backend: str, samples: range = FAST, **fields: Any) -> TrialRecord:
    spec = {"work": "5ms", "consumers": 3, "producers": 2}
    work = fields.pop("work", Worked(utilisation=0.5, finished=3000))
    rate = fields.pop("rate", 3000.0)
    record = make.paced(backend, samples, rate=rate, spec=spec, work=work, limit="pacing", **fields)
    return replace(record, latency=replace(record.latency, skipped_sends=0, late_sends=0))


def kill(backend: str, *, unfinished: int = 0, again: int = 0, **found: Any) -> TrialRecord:
    counts = {"unfinished": unfinished, "duplicated": again}
    record = safety.crash(backend, "kill consumer, working", counts=counts, **found)
    return replace(record, spec=replace(record.spec, work="5ms"))


def answer(make: Make, *trials: TrialRecord, **fields: Any) -> Any:
    (found,) = answers(make.result(trials, **fields))
    return found


def said(make: Make, *trials: TrialRecord, **fields: Any) -> list[str]:
    found = answer(make, *trials, **fields)
    return [jobs_table.words(found, reason) for reason in found.reasons]


def test_a_backend_that_is_in_time_and_loses_nothing_fits(make: Make) -> None:
    found = answer(make, load(make, "redis-stream"), kill("redis-stream", again=1))
    assert (found.fits, found.reasons, found.again_when_killed) == ("yes", [], 1)
    assert found.utilisation == 0.5


def test_jobs_that_a_killed_worker_takes_with_it_rule_a_backend_out(make: Make) -> None:
    trials = load(make, "queue"), kill("queue", unfinished=2)
    assert answer(make, *trials).fits == "no"
    assert said(make, *trials) == ["2 jobs lost when a worker was killed"]


def test_a_slow_backend_is_ruled_out_with_its_percentile_and_the_limit(make: Make) -> None:
    trials = load(make, "rabbitmq", SLOW), kill("rabbitmq")
    assert said(make, *trials) == ["p99 75 ms > 50 ms"]
    assert answer(make, *trials, options={"slo": "p99=80ms"}).fits == "yes"
    assert said(make, *trials, options={"slo": "p50=20ms"}) == ["p50 39 ms > 20 ms"]


def test_a_slow_backend_on_a_busy_machine_is_not_ruled_out(make: Make) -> None:
    busy = replace(make.cost(), others_cores=1.0)
    trials = load(make, "rabbitmq", SLOW, cost=busy), kill("rabbitmq")
    assert answer(make, *trials).fits == "unknown"
    assert "other programs used the machine" in said(make, *trials)[0]


def test_a_trial_that_does_not_know_what_others_used_goes_by_the_other_trials_of_its_run(make: Make) -> None:
    busy = replace(make.cost(), others_cores=1.0)
    slow = load(make, "rabbitmq", SLOW), kill("rabbitmq")
    run = make.result([*slow, load(make, "queue", cost=busy), kill("queue")])
    assert {each.backend: each.fits for each in answers(run)} == {"rabbitmq": "unknown", "queue": "yes"}
    calm = replace(make.cost(), others_cores=0.1)
    run = make.result([*slow, load(make, "queue", cost=calm), kill("queue")])
    assert {each.backend: each.fits for each in answers(run)} == {"rabbitmq": "no", "queue": "yes"}


def test_a_repeat_in_time_counts_and_one_that_was_slow_on_a_busy_machine_does_not(make: Make) -> None:
    busy = replace(make.cost(), others_cores=1.0)
    slow, fast = load(make, "queue", SLOW, cost=busy, repeat=0), load(make, "queue", repeat=1)
    found = answer(make, slow, fast, kill("queue"))
    assert (found.fits, found.slow_share) == ("yes", 0.0)
    assert answer(make, replace(slow, cost=make.cost()), fast, kill("queue")).fits == "no"


def test_too_few_jobs_tell_nothing_of_a_percentile(make: Make) -> None:
    few = load(make, "queue", range(1_000_000, 1_000_000 + 200 * 1000, 1000), rate=200.0)
    assert answer(make, few, kill("queue")).fits == "unknown"
    assert said(make, few, kill("queue")) == ["too few jobs to tell p99: choose a longer --duration"]
    enough = load(make, "queue", range(1_000_000, 1_000_000 + 300 * 1000, 1000), rate=300.0)
    assert answer(make, enough, kill("queue")).fits == "yes"


def test_a_fast_backend_on_a_busy_machine_fits(make: Make) -> None:
    busy = replace(make.cost(), others_cores=1.0)
    assert answer(make, load(make, "queue", cost=busy), kill("queue")).fits == "yes"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outcome": "failed", "reason": "consumer-0: no"}, "failed: consumer-0: no"),
        ({"outcome": "hung", "reason": "consumer-0 did not end"}, "hung: consumer-0 did not end"),
        (
            {"work": Worked(utilisation=0.5, finished=2990, failed=10, unfinished=10)},
            "10 jobs not done, because the handler raised and the job was not delivered again",
        ),
        ({"rate_per_s": 1500.0}, "carried only 50% of the offered jobs"),
    ],
)
def test_what_goes_wrong_under_load_rules_a_backend_out(make: Make, fields: Any, words: str) -> None:
    trials = load(make, "queue", **fields), kill("queue")
    assert answer(make, *trials).fits == "no"
    assert words in said(make, *trials)


def test_jobs_that_are_lost_although_nothing_fails_rule_a_backend_out(make: Make) -> None:
    ledger = make.ledger(attempted=3000, confirmed=3000, owed=3000, received=2997, lost=3)
    assert "3 jobs lost although nothing failed" in said(
        make, load(make, "queue", ledger=ledger), kill("queue")
    )


def test_workers_that_hang_after_one_was_killed_rule_a_backend_out(make: Make) -> None:
    hung = kill("queue", unfinished=40, hung={"consumer-1": "Queue.get (read lock)"})
    words = said(make, load(make, "queue"), hung)
    assert words == ["the others hung in Queue.get (read lock) when a worker was killed"]


def test_without_a_killed_worker_it_stays_open_whether_a_backend_fits(make: Make) -> None:
    refused = kill("redis-list")
    assert isinstance(refused.safety, Safety)
    refused = replace(refused, safety=Safety(model="delivery", verdict="valid", refused="not ours"))
    trials = load(make, "redis-list"), refused
    assert answer(make, *trials).fits == "unknown"
    assert said(make, *trials) == ["no worker was killed: not ours"]


def test_a_backend_that_was_not_measured_is_ruled_out_with_the_reason(make: Make) -> None:
    gone = [make.unavailable("memcached-ticket", "no memcached was found")]
    found = answers(make.result([load(make, "queue"), kill("queue")], unavailable=gone))
    assert [(each.backend, each.fits) for each in found] == [("queue", "yes"), ("memcached-ticket", "no")]
    assert jobs_table.words(found[1], found[1].reasons[0]) == "no memcached was found"


def test_the_fastest_of_those_that_fit_comes_first(make: Make) -> None:
    slower = range(2_000_000, 2_000_000 + 3000 * 1000, 1000)
    trials = [load(make, "queue", slower), kill("queue"), load(make, "pipe"), kill("pipe")]
    assert [each.backend for each in answers(make.result(trials))] == ["pipe", "queue"]


def test_a_run_without_work_or_without_a_killed_worker_is_not_about_jobs(make: Make) -> None:
    assert (
        answers(make.result([make.paced("queue", FAST), safety.crash("queue", "kill consumer, working")]))
        == []
    )
    assert answers(make.result([load(make, "queue")])) == []
    assert "Jobs" not in table.make(make.result([load(make, "queue")])).closing


def test_nothing_is_said_of_the_prefetch_where_other_programs_made_one_slow(make: Make) -> None:
    busy = replace(make.cost(), others_cores=1.0)
    run = make.result(
        [
            load(make, "rabbitmq:prefetch=1", SLOW, options={"prefetch": 1}, cost=busy),
            load(make, "rabbitmq:prefetch=100", options={"prefetch": 100}, cost=busy),
            kill("rabbitmq:prefetch=1"),
            kill("rabbitmq:prefetch=100"),
        ]
    )
    assert [block.advice for block in jobs_table.section(run)[0].blocks] == [(), ()]


def test_the_answer_is_in_the_language_of_the_reader(make: Make) -> None:
    run = make.result([load(make, "queue"), kill("queue", unfinished=2)])
    with speaking("zh"):
        assert "1 个被排除" in jobs_table.closing(run)
        (found,) = answers(run)
        assert jobs_table.words(found, found.reasons[0]) == "工作进程被杀死时丢失 2 个作业"


def test_every_format_has_the_answer_with_its_reasons(make: Make) -> None:
    trials = [
        load(make, "rabbitmq:prefetch=1"),
        load(make, "rabbitmq:prefetch=100", SLOW, options={"prefetch": 100}),
        load(make, "queue"),
        kill("rabbitmq:prefetch=1", declared=safety.AT_LEAST_ONCE, again=1),
        kill("rabbitmq:prefetch=100", declared=safety.AT_LEAST_ONCE),
        kill("queue", unfinished=2),
    ]
    trials[0] = replace(trials[0], options={"prefetch": 1}, guarantees=safety.AT_LEAST_ONCE)
    result = make.result(trials)
    closing = (
        "Jobs: 1 of 3 backends keep p99=50ms and lose nothing when a worker is killed: "
        "rabbitmq:prefetch=1; 2 ruled out."
    )
    shown = terminal.render(result, Look(120, False))
    assert closing in shown.replace("\n", " ")
    assert "2 jobs lost when a worker was killed" in " ".join(shown.split())
    (block,) = [b for b in jobs_table.section(result)[0].blocks if b.advice]
    assert block.advice[1:] == (
        "p99 of rabbitmq: 4.0 ms with a prefetch of 1, 75 ms with a prefetch of 100.",
        "A prefetched job may wait for a busy worker while another is idle.",
    )
    assert closing in brief.render(result, Look(120, False))
    page = html.render(result)
    assert page.index("which channel fits, and why the others do not") < page.index(
        "The fastest that promises"
    )
    assert page.count("<td>2 jobs lost when a worker was killed</td>") == 1
    assert "p99 75 ms > 50 ms" in csv.render(result)
    whole = json.render(result)
    kinds = {
        reason.kind for each in msgspec.json.decode(whole, type=json.Report).jobs for reason in each.reasons
    }
    assert kinds == {"slow", "lost_when_killed"}
    assert reader.parse(whole.encode(), "x") == result
