"""From trial records to rows and their verdicts; good records and bad ones."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipclab.errors import ResultsError
from ipclab.results.rows.build import rows
from ipclab.results.rows.groups import form
from ipclab.results.rows.row import percentiles
from ipclab.results.verdict import exit_code, of_trial
from ipclab.trial.distribution import merge, summarize
from ipclab.trial.record import Latency, Serialising

replace = msgspec.structs.replace
latencies = st.lists(st.integers(min_value=1, max_value=10**10), min_size=1, max_size=300)


@settings(deadline=None, max_examples=50)
@given(st.lists(latencies, min_size=1, max_size=4))
def test_merged_histograms_say_what_the_histogram_of_all_samples_says(repeats):
    merged = merge([summarize(np.asarray(repeat, np.int64)) for repeat in repeats])
    whole = summarize(np.asarray([sample for repeat in repeats for sample in repeat], np.int64))
    assert (merged.count, merged.min_ns, merged.max_ns) == (whole.count, whole.min_ns, whole.max_ns)
    for name in ("p50_ns", "p90_ns", "p99_ns", "p999_ns"):
        assert (getattr(merged, name) is None) == (getattr(whole, name) is None)
        if getattr(whole, name) is not None:
            assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-3, abs=1)


@settings(deadline=None, max_examples=50)
@given(st.lists(latencies, min_size=1, max_size=4))
def test_percentiles_of_a_row_rise_and_never_pass_the_largest_sample(repeats):
    found = percentiles([summarize(np.asarray(repeat, np.int64)) for repeat in repeats])
    known = [
        p for p in (found.p50_ns, found.p90_ns, found.p99_ns, found.p999_ns, found.max_ns) if p is not None
    ]
    assert known == sorted(known)


def test_the_order_of_repeats_does_not_matter_to_a_merged_percentile(make):
    parts = [summarize(np.arange(1, 2000) * k) for k in (1, 10, 100)]
    assert percentiles(parts).p99_ns == percentiles(parts[::-1]).p99_ns


def test_stream_and_paced_trials_of_a_backend_are_one_row(make):
    trials = [make.stream("pipe", 100.0), make.paced("pipe", range(1000, 21_000))]
    (row,) = rows(trials)
    assert row.goodput_per_s.median == 100.0
    assert row.end_to_end.count == 20_000
    assert row.trials == {"stream": 1, "paced": 1}
    assert row.rate_per_s == 1000.0
    assert (row.late_sends, row.skipped_sends) == (2, 1)


@pytest.mark.parametrize("field", ["producers", "consumers", "size_bytes", "window"])
def test_trials_that_differ_in_what_was_set_are_rows_of_their_own(make, field):
    assert len(rows([make.stream("queue", 1.0), make.stream("queue", 1.0, spec={field: 77})])) == 2


def test_options_make_a_row_whatever_their_order(make):
    trials = [make.stream(f"rabbitmq:{mode}", 1.0) for mode in ("ack=auto,prefetch=1", "prefetch=1,ack=auto")]
    assert [row.backend for row in rows(trials)] == ["rabbitmq:ack=auto,prefetch=1"]
    assert len(rows([*trials, make.stream("rabbitmq:ack=manual,prefetch=1", 1.0)])) == 2


def test_several_offered_rates_are_rows_of_their_own(make):
    trials = [make.paced("pipe", [1, 2], rate=rate) for rate in (100.0, 1000.0, 100.0)]
    assert [row.rate_per_s for row in rows(trials)] == [100.0, 1000.0]


def test_a_discipline_that_was_left_to_the_default_is_named(make):
    trial = make.counter("value:discipline=locked", 10.0, safe=True)
    bare = replace(trial, spec=make.spec("counter", "value", producers=2))
    assert [(row.backend, row.mode) for row in rows([trial, bare])] == [("value:discipline=locked", "locked")]


def test_percentiles_without_enough_samples_are_withheld(make):
    (row,) = rows([make.paced("pipe", range(1, 501)), make.paced("pipe", range(1, 501), repeat=1)])
    assert row.end_to_end.p99_ns is not None
    assert row.end_to_end.p999_ns is None


def test_a_skipped_send_counts_as_longer_than_any_latency_that_was_seen(make):
    (row,) = rows(
        [
            make.paced("pipe", range(1, 10_001), latency=_latency(range(1, 10_001), skipped=500)),
            make.paced("pipe", range(1, 10_001), latency=_latency(range(1, 10_001), skipped=0), repeat=1),
        ]
    )
    assert row.skipped_sends == 500
    assert row.end_to_end.count == 20_000
    assert row.end_to_end.p90_ns == pytest.approx(9225, rel=1e-3)
    assert row.end_to_end.p99_ns is None
    assert row.service.p99_ns == pytest.approx(9900, rel=1e-3)


def test_a_confirmed_message_that_never_came_counts_as_longer_than_any_that_did(make):
    ledger = make.ledger(attempted=10_500, confirmed=10_500, owed=10_500, received=10_000, lost=500)
    (row,) = rows([make.paced("pipe", [], latency=_latency(range(1, 10_001), skipped=0), ledger=ledger)])
    for found in (row.end_to_end, row.service):
        assert found.p50_ns == pytest.approx(5250, rel=1e-3)
        assert (found.p99_ns, found.max_ns) == (None, None)


def test_a_skipped_send_of_a_fan_out_is_missing_at_every_consumer(make):
    def p50_ns(**declared: Any) -> int | None:
        trial = make.paced(
            "redis-pubsub",
            [],
            latency=_latency(range(1, 1001), skipped=400),
            spec={"consumers": 4},
            guarantees=make.at_most_once | declared,
        )
        (row,) = rows([trial])
        return row.end_to_end.p50_ns

    assert p50_ns() is not None
    assert p50_ns(fan_out=True) is None


def test_a_row_is_not_ranked_by_the_latency_of_the_few_that_were_sent(make):
    late = [
        make.paced("pipe", [], latency=_latency(range(1, 1001), skipped=1500), repeat=repeat)
        for repeat in range(4)
    ]
    (row,) = rows(late)
    assert (row.end_to_end.p50_ns, row.end_to_end.p50_by_repeat_ns, row.speed) == (None, [], None)


def test_a_repeat_of_which_nothing_came_leaves_no_median_to_rank_by(make):
    nothing = Latency(skipped_sends=100)
    trials = [
        make.paced("pipe", [], latency=_latency(range(1, 1001), skipped=0)),
        make.paced("pipe", [], latency=nothing, repeat=1),
    ]
    (row,) = rows(trials)
    assert row.end_to_end.p50_by_repeat_ns == []
    assert row.end_to_end.p50_ns == pytest.approx(550, rel=1e-2)


def _latency(samples_ns, *, skipped):
    found = summarize(np.asarray(samples_ns))
    return Latency(end_to_end=found, service=found, skipped_sends=skipped)


def test_negative_latencies_are_counted_and_stay_out_of_percentiles(make):
    (row,) = rows([make.paced("pipe", [-5, *range(1000, 1100)])])
    assert row.end_to_end.negative == 1
    assert row.end_to_end.count == 101
    assert row.end_to_end.min_ns == -5
    assert row.end_to_end.p50_ns >= 1000


def test_only_negative_latencies_give_no_percentile(make):
    (row,) = rows([make.paced("pipe", [-5, -6])])
    assert row.end_to_end.p50_ns is None


def test_cpu_is_told_per_message_and_a_round_trip_is_two(make):
    (streamed,) = rows([make.stream("pipe", 1000.0)])
    (echoed,) = rows([make.ping_pong("pipe", 1000.0)])
    assert streamed.worker_cpu_us_per_message.median == pytest.approx(1000.0)
    assert echoed.worker_cpu_us_per_message.median == pytest.approx(500.0)
    assert streamed.broker_cpu_us_per_message is None


def test_cpu_of_the_broker_is_told_over_the_interval_in_which_it_was_read(make):
    cost = replace(make.cost(broker_cpu_s=0.3), broker_interval_s=0.5)
    (row,) = rows([make.stream("redis-list", 1000.0, cost=cost)])
    assert row.broker_cpu_us_per_message.median == pytest.approx(600)
    assert row.worker_cpu_us_per_message.median == pytest.approx(1000)


def test_cpu_of_paced_trials_is_not_told_as_their_producers_watch_the_clock(make):
    (row,) = rows([make.paced("pipe", [1, 2])])
    assert row.worker_cpu_us_per_message is None


def test_cpu_is_not_told_where_a_worker_is_unknown_or_nothing_came(make):
    cost = make.cost()
    blind = replace(cost, workers=[replace(cost.workers[0], cpu_s=None), cost.workers[1]])
    for trial in (
        make.stream("pipe", 1000.0, cost=blind),
        make.stream("pipe", 0.0),
        make.stream("pipe", 1.0, cost=None),
    ):
        assert rows([trial])[0].worker_cpu_us_per_message is None


def test_the_ledgers_of_all_trials_are_added_up_those_of_failed_ones_too(make):
    bad = make.ledger(attempted=5, confirmed=5, owed=5, received=4, lost=1)
    (row,) = rows([make.stream("pipe", 9.0), make.hung("pipe", ledger=bad)])
    assert (row.messages.attempted, row.messages.lost) == (15, 1)
    assert row.goodput_per_s.values == [9.0]


def test_the_limit_is_the_most_common_one(make):
    trials = [make.stream("pipe", 1.0, limit=limit) for limit in ("broker", "consumer", "consumer")]
    (row,) = rows(trials)
    assert row.limit == "consumer"
    assert row.limits == {"broker": 1, "consumer": 2}


def test_a_row_says_whether_it_wanted_more_cores_than_there_are(make):
    assert not rows([make.stream("pipe", 1.0)])[0].over_cores
    assert rows([make.stream("pipe", 1.0, cost=make.cost(wanted=3))])[0].over_cores


def test_lost_updates_are_a_share_and_a_count_of_repeats(make):
    trials = [make.counter("value:discipline=naive", 10.0, safe=False, lost=lost) for lost in (0, 100, 300)]
    (row,) = rows(trials)
    assert row.updates.lost == 400
    assert row.updates.lost_share == pytest.approx(400 / 3000)
    assert (row.updates.repeats_that_lost, row.updates.repeats) == (2, 3)


def test_the_price_of_safety_is_told_against_the_same_backends_fastest_unsafe_discipline(make):
    found = rows(
        [
            make.counter("value:discipline=naive", 900.0, safe=False),
            make.counter("value:discipline=locked", 300.0, safe=True),
            make.counter("pipe:discipline=owner", 30.0, safe=True),
        ]
    )
    assert [row.safety_price for row in found] == [None, 3.0, None]


def test_a_damaged_histogram_is_one_clear_error(make):
    trial = make.paced("pipe", [1, 2, 3])
    latency = replace(trial.latency, end_to_end=replace(trial.latency.end_to_end, histogram="!!"))
    with pytest.raises(ResultsError, match="histogram cannot be read"):
        rows([replace(trial, latency=latency)])


# Verdicts


def test_the_worst_verdict_of_its_trials_is_the_rows(make):
    good, broken = make.stream("pipe", 9.0), make.stream("pipe", 9.0, ledger=make.bad_ledger())
    assert rows([good])[0].verdict == "kept"
    assert rows([good, make.hung("pipe")])[0].verdict == "hung"
    assert rows([good, replace(make.hung("pipe"), outcome="failed")])[0].verdict == "failed"
    assert rows([make.hung("pipe"), broken, good])[0].verdict == "broken"
    assert rows([good, replace(good, ledger=None)])[0].verdict == "unknown"


def test_a_trial_in_which_nothing_was_attempted_proves_nothing(make):
    empty = make.stream("pipe", 0, ledger=make.ledger())
    assert of_trial(empty) == "unknown"
    (row,) = rows([empty])
    assert row.reasons == ["no message or update was begun: choose a longer --duration or a higher --rate"]
    assert exit_code(make.result([empty])) == 3


def test_a_guarantee_that_was_seen_broken_in_a_hung_trial_counts_as_broken(make):
    trial = make.hung("pipe", ledger=make.bad_ledger())
    assert of_trial(trial) == "broken"
    assert rows([trial])[0].reasons == [
        "lost 1 confirmed messages",
        "consumer-0 had not connected after 20 s",
    ]


def test_an_unsafe_discipline_that_loses_updates_did_what_it_declares(make):
    trial = make.counter("value:discipline=naive", 9.0, safe=False, lost=5)
    assert of_trial(trial) == "unsafe"
    assert exit_code(make.result([trial])) == 0


def test_a_safe_discipline_that_loses_an_update_is_broken(make):
    trial = make.counter("value:discipline=locked", 9.0, safe=True, lost=1)
    assert of_trial(trial) == "broken"
    assert rows([trial])[0].reasons == ["lost 1 of 1000 confirmed increments"]


def test_a_hung_trial_without_any_evidence_makes_a_row_without_figures(make):
    (row,) = rows([make.hung("pipe")])
    assert row.speed is None
    assert row.messages is None
    assert row.trials == {"stream hung": 1}


def test_the_exit_code_tells_broken_before_unknown_before_fine(make):
    good, broken = make.stream("pipe", 9.0), make.stream("queue", 9.0, ledger=make.bad_ledger())
    assert exit_code(make.result([])) == 0
    assert exit_code(make.result([good])) == 0
    assert exit_code(make.result([good, make.hung("pipe")])) == 3
    assert exit_code(make.result([make.hung("pipe"), good, broken])) == 1


@pytest.mark.parametrize(("check_us", "share"), [(0.0, 0.4), (200.0, 0.5), (999.0, 1.0), (2000.0, 1.0)])
def test_the_share_of_serialising_leaves_out_what_the_lab_itself_spends_on_checks(make, check_us, share):
    # Two workers with half a core each and 1 000 messages a second: 1 000 µs for each message.
    serialising = Serialising(
        encode_us_per_message=300.0, decode_us_per_message=100.0, check_us_per_message=check_us
    )
    spec = {"payload": "dict", "codec": "json"}
    trials = [make.stream("pipe", 1000.0, repeat=n, spec=spec, serialising=serialising) for n in range(2)]
    (row,) = rows(trials)
    assert row.serialising_share.values == [pytest.approx(share)] * 2
    assert rows([make.stream("pipe", 1000.0)])[0].serialising_share is None


def test_rows_that_differ_in_payload_codec_or_range_are_apart_and_other_payloads_are_not_ranked(make):
    specs = [
        {},
        {"payload": "dict", "codec": "json"},
        {"payload": "dict", "codec": "pickle"},
        {"smallest_bytes": 64},
    ]
    found = rows([make.stream("pipe", 1000.0, spec=spec) for spec in specs])
    assert [(row.payload, row.codec, row.smallest_bytes) for row in found] == [
        ("bytes", "", 0),
        ("dict", "json", 0),
        ("dict", "pickle", 0),
        ("bytes", "", 64),
    ]
    groups = {group.title: [row.codec for row in group.rows] for group in form(found)}
    assert len(groups) == 3
    assert ["json", "pickle"] in [sorted(codecs) for codecs in groups.values()]
    assert any(title.endswith("· dict · 1 KiB") for title in groups)
    assert any(title.endswith("· 64 B–1 KiB") for title in groups)
