"""What a cell of the safety tables says of its trials."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS
from ipclab.results.safety import suffered
from ipclab.results.safety.cells import is_in_cells, label, make_cells, verdict, worst
from ipclab.results.safety.sightings import find_sightings
from tests.support import safety
from tests.support.safety import AT_LEAST_ONCE, DURABLE, crash

LOST = {"lost": 12, "confirmed": 3000}
BROKEN_LOSS = {"counts": LOST, "broken": ["lost 12 confirmed messages"], "declared": DURABLE}


def said(*trials):
    of = suffered.gather(trials)
    return [suffered.words(of, piece, "") for piece in of.pieces] or [suffered.kept(of)]


def test_a_trial_in_which_nothing_went_wrong_kept_everything():
    assert said(crash(), crash(repeat=1)) == ["kept 2/2"]


@pytest.mark.parametrize(
    ("found", "words", "word"),
    [
        ({"counts": LOST}, "lost 12 (0.40%) 1/1", "declared"),
        (BROKEN_LOSS, "BROKEN: lost 12 (0.40%) 1/1", "broken"),
        ({"counts": LOST, "declared": AT_LEAST_ONCE}, "lost 12 (0.40%) 1/1", "declared"),
        ({"counts": LOST, "verdict": "unknown"}, "perhaps lost 12 (0.40%) 1/1", "unknown"),
        ({"verdict": "unknown", "first_again_s": None}, "undecided 1/1", "unknown"),
        ({"counts": {"duplicated": 3}}, "twice 3 1/1", "declared"),
        ({"counts": {"reordered": 2}}, "reordered 2 1/1", "declared"),
        ({"counts": {"corrupted": 1}}, "corrupted 1 1/1", "declared"),
        (
            {"counts": {"corrupted": 1}, "broken": ["delivered 1 message whose bytes were damaged"]},
            "BROKEN: corrupted 1 1/1",
            "broken",
        ),
        (
            {"counts": {"unexpected": 1}, "broken": ["delivered 1 message that nobody sent"]},
            "BROKEN: sent by nobody 1 1/1",
            "broken",
        ),
        ({"broken": ["lied about its size"]}, "BROKEN: lied about its size 1/1", "broken"),
        ({"verdict": "invalid"}, "BROKEN: what it declares 1/1", "broken"),
        ({"hung": {"consumer-1": "Queue.get (read lock)"}}, "hung in Queue.get (read lock) 1/1", "hung"),
        (
            {"gave_up": {"producer-0": "ConnectionRefusedError: [Errno 111] Connection refused"}},
            "ends: ConnectionRefusedError 1/1",
            "stopped",
        ),
        ({"first_again_s": None}, "none came after it 1/1", "stopped"),
    ],
)
def test_a_cell_says_in_words_what_went_wrong(found, words, word):
    trial = crash(**found)
    assert said(trial) == [words]
    assert verdict(trial) == word


def test_a_trial_that_failed_says_with_what():
    trial = msgspec.structs.replace(crash(), outcome="failed", reason="OSError: no room", safety=None)
    assert said(trial) == ["failed: OSError 1/1"]
    assert verdict(trial) == "failed"


def test_only_what_the_trial_calls_broken_is_said_to_be():
    counts = {"lost": 5, "duplicated": 3}
    trial = crash(counts=counts, broken=["delivered 3 messages again"])
    assert said(trial) == ["BROKEN: twice 3 1/1", "lost 5 (0.50%) 1/1"]


def test_the_worst_trial_is_told_and_how_many_showed_it():
    trials = [crash(repeat=i, counts={"lost": i}) for i in range(4)]
    assert said(*trials) == ["lost 3 (0.30%) 3/4"]


def test_moments_are_named_only_where_others_did_not_show_it():
    trials = [crash(fault=f"kill consumer, {m}", counts={"lost": 1}) for m in MOMENTS]
    assert said(*trials) == ["lost 1 (0.10%) 4/4"]
    kept = crash(fault="kill consumer, idle")
    assert said(kept, *trials[1:]) == ["lost 1 (0.10%) 3/4 busy, working, mid-message"]


def test_different_errors_and_primitives_are_told_apart():
    trials = [crash(hung={"a": "Queue.get"}), crash(hung={"a": "Queue.put", "b": "Queue.get"})]
    assert said(*trials) == ["hung in Queue.get 2/2", "hung in Queue.put 1/2"]


@pytest.mark.parametrize(("again_s", "shown"), [([7.0, 7.2, 9.0], 7.2), ([0.1, 0.2, 0.3], None), ([], None)])
def test_the_time_until_messages_came_again_is_told_where_it_is_long(again_s, shown):
    of = suffered.gather([crash(first_again_s=s) for s in again_s] or [crash(first_again_s=None)])
    assert of.again_s == shown


def test_a_refused_trial_counts_for_nothing_but_itself():
    found = suffered.gather([crash(refused="not ours"), crash()])
    assert (len(found.trials), found.refused, found.verdict) == (1, ("not ours",), "kept")
    (cell,) = make_cells([crash(refused="not ours")])
    assert (cell.trials, cell.refused, cell.kept, cell.verdict) == (1, 1, 0, "refused")


def test_a_row_is_a_backend_with_its_options_and_the_settings_of_its_broker():
    trial = crash("rabbitmq:prefetch=10,ack=manual", settings={"b": "2", "a": "1"})
    assert label(trial.spec) == "rabbitmq ack=manual prefetch=10, a=1, b=2"
    assert make_cells([trial])[0].settings == {"a": "1", "b": "2"}


def test_a_cell_has_the_figures_of_its_worst_trials():
    trials = [
        crash(counts=LOST | {"duplicated": 2}, first_again_s=1.0, history="histories/0001.jsonl.gz"),
        crash(counts={"duplicated": 5}, repeat=1, first_again_s=3.0, history="histories/0002.jsonl.gz"),
        crash(repeat=2, hung={"consumer-0": "Queue.get"}, first_again_s=None),
    ]
    (cell,) = make_cells(trials)
    assert (cell.action, cell.target, cell.moment) == ("kill", "consumer", "busy")
    assert (cell.trials, cell.kept, cell.lost, cell.lost_share, cell.duplicated) == (3, 0, 12, 0.004, 5)
    assert cell.findings == {"lost": 1, "twice": 2, "hung": 1}
    assert (cell.hung, cell.first_again_s, cell.verdict) == (["Queue.get"], 2.0, "hung")
    assert cell.histories == ["histories/0001.jsonl.gz", "histories/0002.jsonl.gz"]


def test_a_row_that_failed_stands_with_its_backend_in_other_settings():
    failed = crash(settings={"appendonly": "yes"}, declared={}, refused="not ours")
    assert [c.guarantee_class for c in make_cells([failed, crash(declared=DURABLE)])] == [
        "At least once, survives a broker restart"
    ] * 2
    assert make_cells([failed])[0].guarantee_class == "Nothing declared"


def test_the_name_of_a_process_is_not_taken_for_its_error():
    (cell,) = make_cells([crash(gave_up={"consumer-0": "consumer-0: EOFError: gone"})])
    assert cell.gave_up == ["EOFError: gone"]


def test_a_trial_whose_anomaly_came_up_did_not_keep_everything():
    (cell,) = make_cells([safety.client(shown=True, finding="one became two"), safety.client(shown=False)])
    assert (cell.shown, cell.kept, cell.findings, cell.verdict) == (1, 1, {"shown": 1}, "declared")


def test_a_message_that_overtook_another_is_seen_in_a_queues_history_only():
    assert [s.text for s in find_sightings(safety.order(anomalies={"reordered": 2}))] == ["overtaken 2"]
    assert find_sightings(safety.order(anomalies={"reordered": 2}, model="delivery")) == []


# Laws

AMOUNTS = st.integers(0, 3)
COUNTS = st.fixed_dictionaries(
    dict.fromkeys(("lost", "lost_excused", "duplicated", "reordered", "corrupted", "unexpected"), AMOUNTS)
)
LINES = st.lists(
    st.sampled_from(
        ["lost 3 confirmed messages", "delivered 2 messages again", "delivered 1 corrupted messages", "no"]
    ),
    max_size=2,
)
FAULTS = st.builds(
    lambda action, target, moment: f"{action} {target}, {moment}",
    st.sampled_from(ACTIONS),
    st.sampled_from(TARGETS),
    st.sampled_from(MOMENTS),
)
BACKENDS = st.sampled_from(["redis-list", "queue", "rabbitmq:ack=manual"])
CRASHES = st.builds(
    crash,
    BACKENDS,
    FAULTS,
    repeat=st.integers(0, 2),
    counts=COUNTS,
    declared=st.sampled_from([DURABLE, AT_LEAST_ONCE, safety.AT_MOST_ONCE, {}]),
    settings=st.sampled_from([{}, {"appendonly": "yes"}]),
    broken=LINES,
    refused=st.sampled_from(["", "", "not ours"]),
    hung=st.sampled_from([{}, {"consumer-0": "Queue.get"}]),
    first_again_s=st.sampled_from([None, 0.1, 7.0]),
)
OTHERS = st.one_of(
    st.builds(
        safety.order, st.just("queue"), st.sampled_from(["stress", "forced"]), counts=COUNTS, broken=LINES
    ),
    st.builds(safety.client, st.sampled_from(["a", "b"]), shown=st.booleans(), broken=LINES),
)
TRIALS = st.lists(st.one_of(CRASHES, OTHERS), max_size=25)


@given(TRIALS)
def test_every_trial_is_counted_in_exactly_one_cell(trials):
    found = make_cells(trials)
    assert sum(cell.trials for cell in found) == len(trials)
    keys = [(c.workload, c.row, c.action, c.target, c.moment, c.scenario) for c in found]
    assert len(keys) == len(set(keys))
    assert all(is_in_cells(trial.spec) for trial in trials)


@given(TRIALS)
def test_kept_refused_and_found_trials_make_up_a_cell(trials):
    for cell in make_cells(trials):
        assert cell.kept + cell.refused <= cell.trials
        assert (cell.kept + cell.refused < cell.trials) == bool(cell.findings)
        assert all(0 < count <= cell.trials for count in cell.findings.values())


@given(TRIALS)
def test_a_broken_trial_is_never_kept(trials):
    for trial in trials:
        broken = trial.safety.verdict == "invalid" and not trial.safety.refused
        assert (verdict(trial) == "broken") == broken
        assert broken == any(seen.standing == "broken" for seen in find_sightings(trial))


@given(st.lists(CRASHES, min_size=1, max_size=6))
def test_what_is_said_of_trials_together_covers_each_of_them(trials):
    spec = trials[0].spec
    alike = [msgspec.structs.replace(trial, spec=spec) for trial in trials]
    of = suffered.gather(alike)
    assert of.verdict == worst(verdict(trial) for trial in alike)
    told = {id(trial) for piece in of.pieces for trial in piece.trials}
    assert told == {id(trial) for trial in of.trials if find_sightings(trial)}
    assert all(len(set(map(id, p.trials))) == len(p.trials) <= len(of.trials) for p in of.pieces)
    lines = said(*alike)
    assert any(line.startswith("BROKEN: ") for line in lines) == (of.verdict == "broken")


def test_a_message_that_a_consumer_with_work_took_and_nobody_finished_is_undone():
    taken = crash(fault="kill consumer, working", counts={"unfinished": 2, "confirmed": 100})
    assert said(taken) == ["undone 2 1/1"]
    assert verdict(taken) == "declared"
    lost = crash(fault="kill consumer, working", counts={"unfinished": 2, "lost": 2, "confirmed": 100})
    assert said(lost) == ["lost 2 (2.0%) 1/1"]
