"""The clock bound between machines whose true offset, delay and drift are known."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from fractions import Fraction

import pytest

from ipclab.hosts.clock_bound import ClockMap, OffsetBound, bound_of, line, too_wide
from tests.support.clock_probe import Probe, probe
from tests.support.machines import Clock, Delay, Machine, Rig, loopback, machines, why_no_delay

SECOND_NS = 10**9
LOG = logging.getLogger(__name__)


def bound(found: Probe) -> OffsetBound:
    measured = bound_of(found.ask())
    assert isinstance(measured, OffsetBound)
    return measured


def true_offset_ns(machine: Machine, at_ns: int) -> Fraction:
    drifted = Fraction((at_ns - machine.origin_ns) * machine.clock.drift_ppm, 1_000_000)
    return machine.clock.offset_ns + drifted


@pytest.mark.parametrize("make", [machines, loopback], ids=["machines", "shim on the loopback"])
def test_the_true_offset_is_within_the_bound_however_far_the_clocks_are_apart(
    make: Callable[[list[Clock]], AbstractContextManager[Rig]],
) -> None:
    apart_ns = (0, 5_000 * SECOND_NS + 123_456_789, 90_000 * SECOND_NS)
    with make([Clock(offset_ns) for offset_ns in apart_ns]) as rig:
        LOG.info("rig: %s", rig.kind)
        for machine in rig.machines:
            with probe(rig, machine.number) as echo:
                found = bound(echo)
            assert found.low_ns <= machine.clock.offset_ns <= found.high_ns
            assert found.echoes > 1
            LOG.info("machine %d: ±%.0f ns", machine.number, found.bound_ns)


@pytest.mark.skipif(why_no_delay() is not None, reason=f"a delay needs namespaces and TAP: {why_no_delay()}")
def test_a_delay_in_one_direction_is_within_the_bound_and_withholds_one_way_figures() -> None:
    one_way_ns = 5_000_000
    with (
        machines([Clock(), Clock(7 * SECOND_NS)], {1: Delay(in_ns=one_way_ns)}) as rig,
        probe(rig, 1) as echo,
    ):
        measured = bound_of(echo.ask(count=40))
    assert isinstance(measured, OffsetBound)
    assert measured.low_ns <= 7 * SECOND_NS <= measured.high_ns
    # The halved round trip is far off, as no method can tell that the delay is all on one side.
    assert abs(measured.offset_ns - 7 * SECOND_NS) > 2_000_000
    # The delay is most of a message's latency there, and the bound is about half of it.
    assert too_wide(measured.bound_ns, median_ns=one_way_ns) is not None


def test_drifts_are_recovered_within_their_bounds_and_mid_trial_pings_agree() -> None:
    with machines([Clock(SECOND_NS, drift_ppm=50), Clock(-SECOND_NS, drift_ppm=-20)]) as rig:
        LOG.info("rig: %s", rig.kind)
        with probe(rig, 0) as fast, probe(rig, 1) as slow:
            befores = [bound(fast), bound(slow)]
            time.sleep(1)
            pings = [fast.ask(count=3), slow.ask(count=3)]
            time.sleep(1)
            afters = [bound(fast), bound(slow)]
    for machine, before, middle, after in zip(rig.machines, befores, pings, afters, strict=True):
        found = line(before, after, middle)
        assert isinstance(found, ClockMap)
        assert found.pings == 3
        assert abs(found.drift_ppm - machine.clock.drift_ppm) <= found.drift_bound_ppm + 0.01
        LOG.info("machine %d: %.2f ppm ±%.2f", machine.number, found.drift_ppm, found.drift_bound_ppm)
        for at_ns in range(before.at_ns, after.at_ns, 100_000_000):
            error_ns = abs(found.to_reference_ns(machine.true_ns(at_ns)) - at_ns)
            assert error_ns <= found.bound_ns(at_ns)
            assert abs(true_offset_ns(machine, at_ns) - Fraction(found.to_remote_ns(at_ns) - at_ns)) <= (
                found.bound_ns(at_ns)
            )
