"""What the outcomes of single cases add up to."""

from __future__ import annotations

import pytest

from ipclab.conform.outcome import Conformance, Outcome, Word, by_promise
from ipclab.exit_codes import ExitCode


def outcome(verdict: Word, promise: str = "once", window: int = 1) -> Outcome:
    return Outcome(promise=promise, sentence="It holds", backend="mine", window=window, verdict=verdict)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["kept", "kept"], ExitCode.SUCCESS),
        (["kept", "undecided"], ExitCode.UNKNOWN),
        (["undecided", "broken", "kept"], ExitCode.BROKEN),
        ([], ExitCode.UNKNOWN),
    ],
)
def test_one_broken_promise_outweighs_all_and_an_undecided_one_all_that_are_kept(
    verdicts: list[Word], code: ExitCode
) -> None:
    found = Conformance(backends=["mine"], versions={}, outcomes=[outcome(word) for word in verdicts])
    assert found.exit_code == code


def test_a_promise_that_is_undecided_in_one_mode_shows_in_how_many_it_is_kept() -> None:
    (once, order) = by_promise(
        [outcome("kept"), outcome("undecided", window=10), outcome("kept", "order"), outcome("kept")]
    )
    assert (once.verdict, once.kept, once.of) == ("undecided", 2, 3)
    assert [one.subject for one in once.others] == ["mine:window=10"]
    assert (order.verdict, order.kept, order.of, order.others) == ("kept", 1, 1, [])
