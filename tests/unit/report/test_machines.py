"""What a table says of the machines of a run on several."""

from __future__ import annotations

import msgspec
import numpy as np

from ipclab.backends.registry import Variant
from ipclab.hosts.clock_bound import ClockMap, OffsetBound
from ipclab.report.machines import line, notes
from ipclab.results.result import Result
from ipclab.results.rows.build import rows
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency, Machine, Machines, TrialRecord
from ipclab.trial.spec import TrialSpec
from tests.support.documents import CHECKOUT

BEFORE = OffsetBound(at_ns=0, low_ns=0, high_ns=18_000, echoes=200, shortest_ns=18_000)
AFTER = msgspec.structs.replace(BEFORE, at_ns=10**10, low_ns=500_000, high_ns=518_000)


def trial(**found: object) -> TrialRecord:
    took = summarize(np.full(2000, 2_100_000), np.arange(2000))
    far = "withheld" in found
    return TrialRecord(
        spec=TrialSpec(
            workload="paced",
            backend=Variant("redis-stream"),
            producers=2,
            rate_per_s=500.0,
            placement={"producer": [1, 2], "consumer": [2]},
        ),
        began_utc="2026-01-01T00:00:00+00:00",
        outcome="finished",
        latency=Latency(end_to_end=None if far else took, service=None if far else took, same_machine=took),
        machines=Machines(
            reference=2,
            machines=[
                Machine(
                    number=1,
                    workers=["producer-0"],
                    python="3.12.1",
                    cores=4,
                    interval_s=1.0,
                    cpu_s=0.5,
                    limit="pacing",
                    clock=ClockMap(before=BEFORE, after=AFTER),
                ),
                Machine(
                    number=2, workers=["producer-1", "consumer-0"], python="3.12.1", cores=2, clock=ClockMap()
                ),
            ],
            **found,  # type: ignore[arg-type]
        ),
    )


def result(one: TrialRecord) -> Result:
    stored = msgspec.json.decode((CHECKOUT / "docs/run/comparison/result.json").read_bytes(), type=Result)
    return msgspec.structs.replace(stored, trials=[one])


def test_the_heading_says_which_machines_had_which_role() -> None:
    assert line(result(trial())) == "Workers: on 2 machines; producers on 1, 2, consumers on 2"


def test_the_notes_have_cost_limit_and_clock_of_each_machine() -> None:
    found = result(trial(bound_ns=9000))
    said = list(notes(found))
    assert said[0] == (
        "machine 1: Python 3.12.1, 4 cores, 1 worker at most; workers used 0.5 cores; limit pacing; "
        "clock known to ±9.0 µs, drift +50.0 ppm"
    )
    assert said[1].endswith("clock that of the trial")


def test_a_row_over_machines_is_no_row_of_one_machine() -> None:
    here = trial()
    alone = msgspec.structs.replace(
        here, spec=msgspec.structs.replace(here.spec, placement={}), machines=None
    )
    assert [row.placement for row in rows([here, alone])] == ["producers 1,2; consumers 2", ""]
