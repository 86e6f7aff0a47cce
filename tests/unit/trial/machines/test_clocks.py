"""The clocks of the machines of a trial."""

from __future__ import annotations

import numpy as np

from ipclab.hosts.clock_bound import Echo, Withheld
from ipclab.trial.machines.clocks import UNBOUNDED_NS, Clocks

S = 10**9


def echoes(at_ns: int, offset_ns: int) -> list[Echo]:
    sent = range(at_ns, at_ns + 5000, 1000)
    return [Echo(sent_ns, sent_ns + 50 + offset_ns, sent_ns + 100) for sent_ns in sent]


def test_the_schedule_of_a_drifting_machine_is_mapped_like_its_stamps() -> None:
    clocks = Clocks(1)
    clocks.same(1)
    clocks.before(2, echoes(0, 5000 * S), rough_ns=0)
    clocks.start_ns = {1: S, 2: 5001 * S}
    clocks.after(2, echoes(10 * S, 5000 * S + 500_000))
    due = clocks.due_ns(2, np.array([0, 8 * S]))
    assert abs(due[1] - due[0] - 8 * S + 400_000) < 100
    assert list(clocks.due_ns(1, np.array([0, 5]))) == [S, S + 5]


def test_a_pair_on_one_machine_has_no_error_and_one_on_two_has() -> None:
    clocks = Clocks(1)
    clocks.same(1)
    clocks.before(2, echoes(0, 77), rough_ns=0)
    clocks.after(2, echoes(10 * S, 77))
    assert clocks.bound_ns(2, 2, 0, S) == 0
    assert 40 < clocks.bound_ns(1, 2, S, 2 * S) < 100


def test_a_machine_whose_echo_nobody_answers_has_no_bound_but_a_rough_map() -> None:
    clocks = Clocks(1)
    clocks.same(1)
    clocks.before(3, [], rough_ns=7 * S)
    clocks.after(3, [])
    assert clocks.bound_ns(1, 3, 0, S) == UNBOUNDED_NS
    assert clocks.map_of(3).to_remote_ns(5) == 7 * S + 5
    assert clocks.known(3) == Withheld(reason="no-echo")


def test_an_echo_in_the_middle_that_contradicts_the_line_leaves_no_bound() -> None:
    clocks = Clocks(1)
    clocks.same(1)
    clocks.before(2, echoes(0, 77), rough_ns=0)
    clocks.after(2, echoes(10 * S, 77), pings=echoes(5 * S, 50_077))
    assert clocks.bound_ns(1, 2, S, 2 * S) == UNBOUNDED_NS
    reason = clocks.reason(2)
    assert reason is not None
    assert reason.reason == "contradicted"
