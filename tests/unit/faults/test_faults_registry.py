"""A fault is one object in one list: everything that asks about faults asks that list, and fails closed."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

import ipclab
from ipclab import lab
from ipclab.backends.registry import Variant
from ipclab.cli.run import run
from ipclab.errors import UnknownNameError
from ipclab.faults import actions, registry
from ipclab.faults.base import Fault
from ipclab.faults.registry import FAULTS, fault
from ipclab.faults.spec import ACTIONS, EFFECTS, MOMENTS, TARGETS, FaultSpec
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import ANY_TARGET
from tests.support.documents import CHECKOUT, code, tables

UNKNOWN = "delay-everything"


def test_an_action_that_no_fault_has_is_refused_and_not_carried_out_as_another() -> None:
    with pytest.raises(ValueError, match=f"no fault is called '{UNKNOWN}'; there are kill, "):
        FaultSpec(action=UNKNOWN, target="consumer", moment="busy")
    with pytest.raises(UnknownNameError):
        fault(UNKNOWN)


def test_a_stored_trial_with_a_fault_that_is_not_known_is_refused() -> None:
    what = {"action": UNKNOWN, "target": "consumer", "moment": "busy"}
    with pytest.raises(msgspec.ValidationError, match=UNKNOWN):
        msgspec.convert(what, FaultSpec)


def test_every_file_of_a_fault_is_in_the_list() -> None:
    files = {path.stem for path in Path(actions.__path__[0]).glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in FAULTS} == files


def test_the_choices_of_the_command_are_the_list() -> None:
    choices = {
        option.name: option.type.choices for option in run.params if option.name in ("faults", "targets")
    }
    assert choices == {"faults": tuple(FAULTS), "targets": ANY_TARGET}
    assert tuple(FAULTS) == ACTIONS


def test_the_documentation_says_what_each_fault_does_in_its_own_words() -> None:
    text = (CHECKOUT / "docs" / "safety.md").read_text()
    rows = [row for found in tables(text) if found[0] == ["fault", "what is done"] for row in found[1:]]
    assert {code(row[0])[0]: row[1] for row in rows} == {name: each.done for name, each in FAULTS.items()}


def test_nothing_compares_the_action_of_a_fault_with_a_name() -> None:
    """A new fault with the same effect would be missing in each such place."""
    found = []
    for path in Path(ipclab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                named = any(isinstance(side, ast.Constant) and side.value in FAULTS for side in sides)
                asked = any(isinstance(side, ast.Attribute) and side.attr == "action" for side in sides)
                if named and asked:
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("each", FAULTS.values(), ids=lambda each: each.name)
def test_every_fault_is_of_a_known_effect_on_known_targets_and_moments(each: Fault) -> None:
    assert each.effect in EFFECTS
    assert set(each.causes) <= set(TARGETS)
    assert set(each.moments) < set(MOMENTS)


class Unplug(Fault):
    """A fault of a test: it is all that is needed for another one."""

    name = "unplug"
    done = "the plug is pulled"
    effect = "ends"
    causes = FAULTS["kill"].causes

    def strike(self, scene: object) -> bool:
        return False


def test_a_new_fault_is_in_the_matrix_and_the_estimate_by_being_in_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry.FAULTS, "unplug", Unplug())  # type: ignore[arg-type]

    spec = FaultSpec(action="unplug", target="broker", moment="idle")
    trial = TrialSpec(workload="crash", backend=Variant("rabbitmq"), fault=spec)

    assert spec.ends_broker
    killed = msgspec.structs.replace(trial, fault=FaultSpec(action="kill", target="broker", moment="idle"))
    paused = msgspec.structs.replace(trial, fault=FaultSpec(action="pause", target="broker", moment="idle"))
    assert lab._estimate_s(trial) == lab._estimate_s(killed) > lab._estimate_s(paused)
