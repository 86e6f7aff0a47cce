"""The entrance: which check decides, what is left to the search, and what the verdict says of it."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from ipclab.checks import check
from ipclab.errors import UsageError
from ipclab.history import Fault, Header, History, Operation
from ipclab.history.format import Model
from tests.support import histories


def op(
    process: Any, f: str, value: Any, start: int, end: int | None, outcome: Any = "ok", key: Any = None
) -> Operation:
    return Operation(process=process, f=f, value=value, start_ns=start, end_ns=end, outcome=outcome, key=key)


def history(model: Model, *operations: Operation, faults: tuple[Fault, ...] = ()) -> History:
    return History.of(operations, model, faults=faults)


def test_distinct_values_need_no_search() -> None:
    verdict = check(history("queue", op(1, "enqueue", 1, 0, 1), op(2, "dequeue", 1, 2, 3)))
    assert (verdict.verdict, verdict.methods) == ("valid", ("fifo rules",))


def test_values_that_are_not_distinct_are_searched() -> None:
    twice = [op(1, "enqueue", 1, 0, 1), op(1, "enqueue", 1, 2, 3), op(2, "dequeue", 1, 4, 5)]
    verdict = check(history("queue", *twice, op(2, "dequeue", 1, 6, 7)))
    assert (verdict.verdict, verdict.methods) == ("valid", ("fifo rules", "search"))
    verdict = check(history("queue", *twice, op(2, "dequeue", 2, 6, 7)))
    assert verdict.verdict == "invalid"


def test_a_search_without_time_is_unknown_and_says_why() -> None:
    rows = [op(p, "write", p % 3, 0, 1000) for p in range(40)]
    rows += [op(100 + p, "read", p % 3, 0, 1000) for p in range(40)]
    changed = [op(200, "read", 0, 2000, 2001), op(200, "read", 1, 2002, 2003)]
    verdict = check(history("register", *rows, *changed), budget_s=0.05)
    assert verdict.verdict == "unknown"
    assert verdict.counterexample is None
    assert "a value was written more than once, and read" in verdict.reason


def test_an_answer_that_nobody_can_have_caused_needs_no_search() -> None:
    twice = [op(1, "write", 1, 0, 1), op(1, "write", 1, 2, 3), op(2, "read", 1, 4, 5)]
    verdict = check(history("register", *twice, op(2, "read", 7, 6, 7)), budget_s=1e-9)
    assert verdict.anomalies == {"phantom": 1}
    puts = [op(1, "enqueue", 1, 0, 1), op(1, "enqueue", 1, 2, 3)]
    takes = [op(2, "dequeue", 1, 10 * n, 10 * n + 1) for n in range(1, 4)]
    assert check(history("queue", *puts, *takes), budget_s=1e-9).anomalies == {"duplicated": 1}


def test_keys_are_judged_by_themselves() -> None:
    fine = [op(1, "write", 1, 0, 1, key="a"), op(2, "read", 1, 2, 3, key="a")]
    stale = [op(1, "write", 1, 10, 11, key="b"), op(2, "read", None, 12, 13, key="b")]
    verdict = check(history("register", *fine, *stale))
    assert (verdict.verdict, verdict.keys) == ("invalid", 2)
    assert verdict.counterexample is not None
    assert {o.key for o in verdict.counterexample.operations} == {"b"}
    assert check(history("register", *fine)).verdict == "valid"


@pytest.mark.parametrize("model", ["register", "queue", "counter", "lock"])
def test_many_keys_in_one_history_are_valid_if_each_of_them_is(model: Model) -> None:
    make = getattr(histories, model)
    for seed in range(150):
        chance = random.Random(seed)
        single = [make(chance) for _ in range(4)]
        together = [
            msgspec.structs.replace(h.operation(i), key=k, process=f"{k}/{h.operation(i).process}")
            for k, h in enumerate(single)
            for i in range(len(h))
        ]
        words = [check(h).verdict for h in single]
        expected = next((word for word in ("invalid", "unknown") if word in words), "valid")
        assert check(History.of(together, model)).verdict == expected, f"seed {seed}"


def test_an_open_dequeue_excuses_one_lost_value_and_no_more() -> None:
    puts = [op(1, "enqueue", n, 10 * n, 10 * n + 1) for n in range(1, 4)]
    third = op(2, "dequeue", 3, 50, 51)
    open_ = op(3, "dequeue", None, 40, None, "open")
    another = op(4, "dequeue", None, 45, 46, "info")
    assert check(history("queue", *puts, third, open_, another)).verdict == "valid"
    assert check(history("queue", *puts, third, open_)).anomalies == {"lost": 1}
    too_late = op(4, "dequeue", None, 60, None, "open")
    assert check(history("queue", *puts, third, open_, too_late)).anomalies == {"lost": 1}


def test_a_killed_holder_holds_until_it_is_killed() -> None:
    first, second = op("a", "acquire", 1, 0, 1), op("b", "acquire", 2, 20, 21)
    kill = Fault(f="kill", value="a", start_ns=10, end_ns=10)
    assert check(history("lock", first, second)).anomalies == {"two-holders": 1}
    assert check(history("lock", first, second, faults=(kill,))).verdict == "valid"


def test_a_release_that_failed_ends_the_reliance_on_the_lock() -> None:
    first = [op("a", "acquire", 1, 0, 1), op("a", "release", 1, 5, 6, "fail")]
    assert check(history("lock", *first, op("b", "acquire", 2, 20, 21))).verdict == "valid"
    assert check(history("lock", *first, op("b", "acquire", 2, 2, 3))).anomalies == {"two-holders": 1}


def test_the_counterexample_of_a_search_is_shrunk_to_what_clashes() -> None:
    rows: list[Operation] = []
    for n in range(1, 30):
        rows += [
            op(1, "write", n % 5, 100 * n, 100 * n + 50),
            op(2, "read", n % 5, 100 * n + 60, 100 * n + 70),
        ]
    stale = op(3, "read", 4, 100 * 27 + 80, 100 * 27 + 90)
    verdict = check(history("register", *rows, stale))
    assert (verdict.verdict, verdict.methods) == ("invalid", ("zones", "search"))
    assert verdict.counterexample is not None
    assert stale in verdict.counterexample.operations
    assert len(verdict.counterexample.operations) <= 16


def test_faults_of_the_time_are_part_of_the_counterexample() -> None:
    kill = Fault(f="kill", value="broker", start_ns=2, end_ns=2)
    late = Fault(f="kill", value="broker", start_ns=99, end_ns=99)
    operations = (op(1, "write", 1, 0, 1), op(2, "read", None, 4, 5))
    verdict = check(history("register", *operations, faults=(kill, late)))
    assert verdict.counterexample is not None
    assert verdict.counterexample.faults == (kill,)


def test_a_queue_may_be_judged_as_a_delivery_but_not_as_a_lock() -> None:
    lost = history("queue", op(1, "enqueue", 1, 0, 1), op(2, "dequeue", None, 2, None, "open"))
    assert check(lost, "delivery").counts["lost_excused"] == 1
    with pytest.raises(UsageError, match="no operation of the model lock"):
        check(lost, "lock")


def test_a_history_without_a_model_is_refused() -> None:
    with pytest.raises(UsageError, match="give one of"):
        check(History.of([], header=Header(ipclab_history=1)))


def test_a_lock_that_is_held_for_no_tick_of_the_clock_is_held_all_the_same() -> None:
    inside = [op(2, "acquire", None, 3, 4), op(2, "release", None, 4, 5)]
    around = [op(1, "acquire", None, 1, 2), *inside, op(1, "release", None, 6, 7)]
    verdict = check(history("lock", *around))
    assert (verdict.verdict, verdict.methods) == ("invalid", ("holds", "search"))


def test_a_token_of_a_hold_of_no_tick_must_rise_as_well() -> None:
    first = [op(1, "acquire", 5, 1, 2), op(1, "release", 5, 3, 4)]
    assert check(history("lock", *first, op(2, "acquire", 5, 5, 6), op(2, "release", 5, 6, 7))).anomalies


def test_a_process_that_reads_in_the_tick_in_which_its_write_ended_reads_after_it() -> None:
    stale = [op(1, "write", 1, 0, 10), op(1, "read", None, 10, 20)]
    assert check(history("register", *stale)).verdict == "invalid"
    assert check(history("register", stale[0], op(2, "read", None, 10, 20))).verdict == "valid"


def test_a_cas_that_failed_although_its_value_was_there_fits_no_order() -> None:
    around = [op(1, "write", 1, 0, 1), op(2, "cas", [1, 2], 2, 3, "fail"), op(1, "read", 1, 4, 5)]
    verdict = check(history("register", *around))
    assert verdict.anomalies == {"not-linearizable": 1}
    assert verdict.counterexample is not None
    assert around[1] in verdict.counterexample.operations


def test_a_cas_may_fail_while_the_value_changes() -> None:
    meanwhile = [op(1, "write", 1, 0, 1), op(3, "write", 2, 2, 9), op(2, "cas", [1, 3], 2, 3, "fail")]
    assert check(history("register", *meanwhile, op(1, "read", 2, 10, 11))).verdict == "valid"


def test_two_cas_that_were_both_told_that_they_came_too_late_fit_no_order() -> None:
    both = [op(p, "cas", [1, p], 2, 5, "fail") for p in (2, 3)]
    assert check(history("register", op(1, "write", 1, 0, 1), *both)).verdict == "invalid"


@pytest.mark.parametrize(("came_out", "overtaken"), [((1, 2, 3, 0), 1), ((3, 0, 1, 2), 3), ((0, 1, 2, 3), 0)])
def test_what_is_counted_of_a_queue_are_the_values_that_were_overtaken(
    came_out: tuple[int, ...], overtaken: int
) -> None:
    puts = [op(1, "enqueue", n, 2 * n, 2 * n + 1) for n in range(4)]
    takes = [op(2, "dequeue", n, 20 + 2 * at, 21 + 2 * at) for at, n in enumerate(came_out)]
    assert check(history("queue", *puts, *takes)).anomalies.get("reordered", 0) == overtaken
