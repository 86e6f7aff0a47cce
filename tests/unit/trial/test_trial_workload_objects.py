"""Each workload is one object; what depends on a workload follows from the list of them."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

import ipclab
from ipclab.backends.registry import Variant
from ipclab.errors import ResultsError, UnknownNameError
from ipclab.results.reader import parse
from ipclab.results.rows.row import Row
from ipclab.trial import workloads
from ipclab.trial.check import check
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import Option, Workload
from tests.support.records import Make

NAMES = [workload.name for workload in workloads.ALL]


def by_name(workload: Workload) -> str:
    return workload.name


@pytest.mark.parametrize("workload", workloads.ALL, ids=by_name)
def test_a_workload_is_measured_or_watched_and_says_where_it_is_shown(workload: Workload) -> None:
    assert (workload.measure is None) != (workload.scene is None)
    assert workload.keeps_history == (workload.scene is not None)
    assert workload.summary
    assert workload.options <= set(get_args(Option))
    assert {*filter(None, [workload.rate_field]), *workload.latencies} <= set(Row.__struct_fields__)


def test_names_are_their_own_and_every_option_is_of_use_somewhere() -> None:
    assert len(set(NAMES)) == len(NAMES)
    of_a_search = {"slo"}
    assert set().union(of_a_search, *(workload.options for workload in workloads.ALL)) == set(
        get_args(Option)
    )


def test_an_unknown_workload_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="no workload is called 'steam'; did you mean stream"):
        check(TrialSpec(workload="steam", backend=Variant("pipe")))


def test_a_stored_result_with_an_unknown_workload_is_refused_in_one_line() -> None:
    make = Make()
    stored = json.loads(msgspec.json.encode(make.result([make.stream("pipe", 1.0)])))
    stored["trials"][0]["spec"]["workload"] = "steam"
    with pytest.raises(ResultsError, match="kept does not fit the result schema: no workload is called"):
        parse(json.dumps(stored).encode(), "kept")


def test_nothing_compares_the_workload_of_a_trial_with_a_name() -> None:
    """A new workload would be missing in each such place."""
    found = []
    for path in Path(ipclab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                named = any(isinstance(side, ast.Constant) and side.value in NAMES for side in sides)
                asked = any(isinstance(side, ast.Attribute) and side.attr == "workload" for side in sides)
                if named and asked:
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []
