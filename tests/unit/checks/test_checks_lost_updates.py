"""Two cas that found the same value need no search, where that value was there only once."""

from __future__ import annotations

from ipclab.checks import verify
from ipclab.history.columns import History, Operation


def cas(process: int, old: int, new: int, start: int, **fields: object) -> Operation:
    return Operation(
        process=process,
        f="cas",
        value=[old, new],
        start_ns=start,
        end_ns=start + 5,
        **fields,  # type: ignore[arg-type]
    )


def write(value: int, start: int) -> Operation:
    return Operation(process=9, f="write", value=value, start_ns=start, end_ns=start + 5)


def judged(*operations: Operation) -> tuple[str, dict[str, int], tuple[str, ...]]:
    found = verify.check(History.of(operations, "register"))
    return found.verdict, found.anomalies, found.methods


def test_each_cas_too_many_is_counted_and_the_first_two_are_shown() -> None:
    operations = [write(0, 0), cas(1, 0, 1, 10), cas(2, 0, 2, 10), cas(3, 0, 3, 10), cas(1, 1, 4, 20)]
    assert judged(*operations) == ("invalid", {"lost-update": 2}, ("zones",))
    shown = verify.check(History.of(operations, "register")).counterexample
    assert shown is not None
    assert [op.value for op in shown.operations] == [[0, 1], [0, 2]]
    assert shown.explanation == "more than one cas found 0 there, and it was put there once"


def test_one_after_the_other_they_are_an_error_too() -> None:
    assert judged(write(0, 0), cas(1, 0, 1, 10), cas(2, 0, 2, 30))[:2] == ("invalid", {"lost-update": 1})


def test_a_value_that_was_put_there_again_can_be_found_again() -> None:
    found = judged(write(0, 0), cas(1, 0, 1, 10), cas(1, 1, 0, 20), cas(2, 0, 2, 30))
    assert found == ("valid", {}, ("zones", "search"))


def test_a_cas_that_failed_or_whose_outcome_is_unknown_is_no_second_one() -> None:
    for outcome in ("fail", "info"):
        found = judged(write(0, 0), cas(1, 0, 1, 10), cas(2, 0, 2, 10, outcome=outcome))
        assert found[:2] == ("valid", {})


def test_a_cas_of_unknown_outcome_may_have_put_it_there_again() -> None:
    again = cas(3, 1, 0, 20, outcome="info")
    assert judged(write(0, 0), cas(1, 0, 1, 10), again, cas(2, 0, 2, 40))[:2] == ("valid", {})
