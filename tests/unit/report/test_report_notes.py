"""The notes under the table: what a mark means, and the command that would tell more."""

from typing import Any

import msgspec
import numpy as np
import pytest

from ipclab.report import table
from ipclab.report.formats import formatted
from ipclab.trial.distribution import summarize
from ipclab.trial.record import BrokerFacts, Latency

replace = msgspec.structs.replace


def test_withheld_percentiles_come_with_the_command_that_takes_them(make):
    result = make.result([make.paced("pipe", range(1000, 2000))])
    assert short_of_samples(result).endswith("; to show all of them: ipclab run comparison --duration 35")


def short_of_samples(result: Any) -> str:
    """The note on percentiles that have too few samples beyond them; empty where there is none."""
    return next((note for note in table.make(result).footnotes if "samples must lie beyond" in note), "")


def test_the_command_that_takes_withheld_percentiles_goes_by_the_rows_own_workload(make):
    paced = make.paced("pipe", range(1000, 2000), spec={"duration_s": 2.0})
    long = make.stream("pipe", 1.0, spec={"duration_s": 60.0})
    assert short_of_samples(make.result([paced, long])).endswith(" --duration 25")


def test_the_command_that_takes_withheld_percentiles_has_the_options_of_the_run(make):
    asked = {
        "backends": "rabbitmq:ack=manual,prefetch=10, pipe",
        "rate_per_s": "500.0",
        "duration_s": "3.0",
        "seed": "1",
    }
    result = make.result([make.paced("pipe", range(1000, 2000))], experiment="latency", options=asked)
    again = "--backend rabbitmq:ack=manual,prefetch=10 --backend pipe --rate 500 --duration 35"
    assert short_of_samples(result).endswith(f": ipclab run latency {again}")


def test_samples_that_no_trial_is_long_enough_for_are_not_promised(make):
    result = make.result([make.paced("pipe", range(1000, 1005), rate=1.0)])
    note = short_of_samples(result)
    assert note.endswith("not within 3600 s")
    assert "--duration" not in note


def test_the_warm_up_counts_towards_how_long_a_trial_may_be(make):
    def note(warmup_s: float) -> str:
        spec = {"duration_s": 300.0, "warmup_s": warmup_s}
        return short_of_samples(make.result([make.paced("pipe", range(1000, 2000), spec=spec)]))

    assert note(100.0).endswith(" --duration 3500")
    assert note(101.0).endswith("not within 3600 s")


def lossy(make: Any, samples: int, *, lost: int, skipped: int = 0) -> Any:
    found = summarize(np.arange(1000, 1000 + samples))
    latency = Latency(end_to_end=found, service=found, skipped_sends=skipped)
    ledger = make.ledger(attempted=samples + lost, confirmed=samples + lost, received=samples, lost=lost)
    return make.paced("pipe", [], latency=latency, ledger=ledger)


def test_percentiles_that_lie_among_lost_messages_are_not_called_short_of_samples(make):
    result = make.result([lossy(make, 10_000, lost=500)])
    notes = table.make(result).footnotes
    assert short_of_samples(result) == ""
    assert any(
        note.startswith("·  withheld, because the figure lies among messages that were skipped or lost")
        for note in notes
    )
    assert any(
        note.startswith("lost: 500 messages of the open loop never arrived; each counts as slower")
        for note in notes
    )
    assert not any(note.startswith("skipped:") for note in notes)


def test_more_samples_are_not_said_to_help_where_too_much_is_lost(make):
    """Of 600 messages 100 were lost: p99 would lie among the lost ones of a longer run too."""
    assert short_of_samples(make.result([lossy(make, 500, lost=100)])) == ""


def test_where_nothing_was_lost_nothing_is_said_to_lie_among_it(make):
    notes = table.make(make.result([lossy(make, 500, lost=0)])).footnotes
    assert not any(note.startswith("lost:") or "lies among" in note for note in notes)


def test_a_percentile_that_only_another_column_lacks_is_not_explained(make):
    """Where there is goodput, the maximum has no column."""
    paced = lossy(make, 500, lost=0, skipped=1)
    notes = table.make(make.result([make.stream("pipe", 1.0), paced])).footnotes
    assert any("samples must lie beyond" in note for note in notes)
    assert not any("lies among" in note for note in notes)


def test_only_negative_samples_are_explained_without_a_promise(make):
    found = summarize(np.asarray([-5, -6]))
    result = make.result([make.paced("pipe", [], latency=Latency(end_to_end=found, service=found))])
    assert short_of_samples(result)
    assert "to show all" not in short_of_samples(result)


def test_a_p99_that_is_withheld_for_want_of_excursions_says_so(make):
    values = np.full(2000, 200_000)
    values[500:530] = 20_000_000
    found = summarize(values, np.arange(2000))
    latency = Latency(end_to_end=found, service=found)
    note = short_of_samples(make.result([make.paced("pipe", [1], latency=latency)]))
    assert "in as many separate excursions" in note


def test_a_rate_of_nothing_is_explained(make):
    shown = formatted(make.result([make.stream("queue", 0)]), "table")
    assert "0 /s  nothing arrived within the measured window" in shown
    assert "0 /s  nothing" not in formatted(make.result([make.stream("queue", 5)]), "table")


def test_ranks_that_need_more_repeats_say_how_many(make):
    result = make.result([make.stream("pipe", 1.0), make.stream("queue", 2.0)])
    assert any("ipclab run comparison --repeats 4" in note for note in table.make(result).footnotes)
    asked = replace(result, options={"backends": "pipe, queue", "repeats": "1"})
    again = "ipclab run comparison --backend pipe --backend queue --repeats 4"
    assert any(again in note for note in table.make(asked).footnotes)


def test_the_note_on_ranks_calls_the_test_exact_only_where_it_was(make):
    def note(repeats: int) -> str:
        trials = [make.stream(name, float(i + 1), repeat=i) for name in ("a", "b") for i in range(repeats)]
        return next(note for note in table.make(make.result(trials)).footnotes if note.startswith("#  rank"))

    assert "exact Mann-Whitney test, p < 0.05" in note(50)
    assert "exact" not in note(51)


def test_negative_latencies_are_told(make):
    result = make.result([make.paced("pipe", [-5, *range(1000, 3000)])])
    assert any(note.startswith("negative: 1 latency below zero, ") for note in table.make(result).footnotes)


def test_a_negative_latency_of_a_message_is_counted_once_and_others_by_name(make):
    latency = Latency(
        end_to_end=summarize(np.asarray([-5, -6, 7])),
        service=summarize(np.asarray([-5, -6, -7])),
        confirm=summarize(np.asarray([-1, 2, 3])),
    )
    notes = table.make(make.result([make.paced("pipe", [], latency=latency)])).footnotes
    assert any(note.startswith("negative: 4 latencies below zero (1 of confirm), ") for note in notes)


def test_different_confirm_levels_and_windows_are_pointed_out(make):
    buffered = make.at_most_once | {"confirm": "buffered"}
    result = make.result(
        [make.stream("pipe", 1.0), make.stream("queue", 1.0, guarantees=buffered, spec={"window": 9})]
    )
    notes = table.make(result).footnotes
    assert any(note.startswith("confirm ") for note in notes)
    assert any(note.startswith("window ") for note in notes)
    assert not any(
        note.startswith(("confirm ", "window "))
        for note in table.make(make.result(result.trials[:1])).footnotes
    )


@pytest.mark.parametrize(
    ("excuse", "said"),
    [
        (1000, ". The drops excuse 1 000 at most: one item may hold all messages under way"),
        (1, ""),
        (None, ""),
    ],
)
def test_where_one_dropped_item_excuses_many_lost_messages_the_note_says_how_many(make, excuse, said):
    trial = make.stream(
        "redis-list",
        1.0,
        broker=BrokerFacts(kind="redis", provider="url", version="7", url="redis://h:1"),
        dropped={"evicted_keys": 1},
        drops_excuse=excuse,
        ledger=make.ledger(attempted=5000, confirmed=5000, owed=5000, received=4988, lost=12),
    )
    (note,) = (n for n in table.make(make.result([trial])).footnotes if n.startswith("dropped:"))
    assert note.endswith(f"these trials lost 12 messages{said}")


def test_messages_above_the_limit_on_the_backlog_are_told_with_their_row(make):
    cost = replace(make.cost(), beyond_backlog=1234)
    result = make.result([make.stream("redis-list", 1.0, cost=cost), make.stream("pipe", 1.0)])
    (note,) = (n for n in table.make(result).footnotes if n.startswith("under way:"))
    assert "up to 1 234 messages more than the limit in redis-list:" in note
    assert "pipe" not in note


def test_of_a_channel_that_polls_no_more_is_said_than_it_declares(make):
    polls = make.at_most_once | {"polling": True}
    result = make.result([make.stream("redis-list", 1.0, guarantees=polls), make.stream("pipe", 1.0)])
    (note,) = (n for n in table.make(result).footnotes if n.startswith("polling:"))
    assert note == "polling: a waiting consumer of redis-list polls, which adds latency and CPU time"


@pytest.mark.parametrize(("size_bytes", "told"), [(1024, False), (65536, True)])
def test_the_labs_own_share_of_the_cpu_stands_beside_rows_of_large_messages(make, size_bytes, told):
    result = make.result([make.stream("pipe", 1.0, spec={"size_bytes": size_bytes})])
    assert any("can be the lab's own" in note for note in table.make(result).footnotes) is told


def test_two_runs_against_servers_that_are_set_otherwise_do_not_look_alike(make):
    def told(provider, **settings):
        facts = BrokerFacts(kind="redis", provider=provider, version="7", url="redis://h", settings=settings)
        result = replace(make.result([make.stream("redis-list", 1.0)]), brokers=[facts])
        return [note for note in table.make(result).footnotes if note.startswith("settings:")]

    often, seldom = (told("url", appendonly="yes", appendfsync=when, save="") for when in ("always", "no"))
    assert often == ["settings: the redis server was set to appendonly=yes, appendfsync=always"]
    assert seldom != often
    assert told("native", appendonly="yes") == []
    assert told("url", acl="not told to this user") == []
    (long,) = told("url", acl="x" * 1000)
    assert len(long) < 120
