"""docs/results-format.md describes every field of a result, with its type."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection

import msgspec
import pytest

from ipclab.checks.breach import BreachKind
from ipclab.checks.messages import COUNTS
from ipclab.faults.spec import ACTIONS, MOMENTS, TARGETS
from ipclab.report.json import Report
from ipclab.results.capacity import Capacity
from ipclab.results.jobs import Answer, ReasonKind
from ipclab.results.result import SCHEMA_VERSION, Result
from ipclab.results.rows.row import Row
from ipclab.results.safety.cells import Cell, CellVerdict
from ipclab.results.safety.sightings import Kind
from ipclab.results.sweeps import RateCurve
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.record import Limit, Outcome
from tests.support.documents import CHECKOUT, code, headings, section, tables

PAGE = (CHECKOUT / "docs" / "results-format.md").read_text()
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_type(hint: object) -> str:
    """What a value of this type is in JSON; an object of ours goes by its name."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        names = dict.fromkeys(json_type(part) for part in parts if part is not type(None))
        return " or ".join([*names, *(["null"] if type(None) in parts else [])])
    if origin is typing.Literal:
        return "string"
    if origin in (list, tuple):
        return f"array of {json_type(parts[0])}"
    if origin is dict:
        return f"object of {json_type(parts[1])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    return PLAIN[typing.cast(type, hint)]


def structs(hint: object, found: dict[str, type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    """All objects that can occur in a value of this type, by name."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if hint.__name__ not in found:
            found[hint.__name__] = hint
            for part in typing.get_type_hints(hint).values():
                structs(part, found)
    else:
        for part in typing.get_args(hint):
            structs(part, found)
    return found


_ANSWERS = structs(Answer, structs(RateCurve, structs(Capacity, {})))
STRUCTS = structs(Cell, structs(Row, structs(Result, _ANSWERS)))


GENERAL = {"Files of a run", "Read it with other programs", "Rules for all fields"}
"""The sections that are about no object."""


def test_every_object_has_a_section_and_no_section_is_about_nothing() -> None:
    assert {title for level, title in headings(PAGE) if level == 2} == set(STRUCTS) | GENERAL


def test_every_count_of_a_delivery_is_described() -> None:
    described = set(code(section(PAGE, "Safety")))
    assert {*COUNTS, "undelivered", "indefinite"} <= described


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [
        ("FaultSpec", "action", ACTIONS),
        ("FaultSpec", "target", TARGETS),
        ("FaultSpec", "moment", MOMENTS),
        ("TrialSpec", "workload", [workload.name for workload in workloads.ALL]),
        ("TrialRecord", "outcome", typing.get_args(Outcome)),
        ("TrialRecord", "limit", typing.get_args(Limit)),
        ("Breach", "kind", typing.get_args(BreachKind)),
        ("Row", "verdict", [word for word in typing.get_args(Word) if word != "unavailable"]),
        ("Cell", "verdict", typing.get_args(CellVerdict)),
        ("Cell", "findings", typing.get_args(Kind)),
        ("Reason", "kind", typing.get_args(ReasonKind)),
    ],
)
def test_every_value_of_a_closed_set_is_described(name: str, field: str, values: Collection[str]) -> None:
    (found,) = tables(section(PAGE, name))
    (meaning,) = [row[2] for row in found if row[0] == f"`{field}`"]
    assert set(values) <= set(code(meaning))


@pytest.mark.parametrize("name", STRUCTS)
def test_every_field_of_an_object_is_described_with_its_type(name: str) -> None:
    struct = STRUCTS[name]
    hints = typing.get_type_hints(struct)
    (found,) = tables(section(PAGE, name))
    assert [row[:2] for row in found[1:]] == [
        [f"`{field}`", json_type(hints[field])] for field in struct.__struct_fields__
    ]
    assert all(row[2] for row in found)


def test_a_report_is_a_result_with_what_is_derived_from_it() -> None:
    derived = ["rows", "cells", "capacities", "curves", "jobs"]
    assert [*Result.__struct_fields__, *derived] == list(Report.__struct_fields__)


def test_the_version_of_the_schema_is_the_one_described() -> None:
    assert f"version of the schema: {SCHEMA_VERSION}" in PAGE
