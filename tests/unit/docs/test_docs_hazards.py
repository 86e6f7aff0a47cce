"""docs/hazards.md: its commands can be given and have something to do, and what it names of them is there."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
import pytest

from ipclab import experiment
from ipclab.claims import catalogue
from ipclab.cli import cli
from ipclab.experiment import Request
from ipclab.trial.client import SCENARIOS
from ipclab.trial.spec import TrialSpec
from tests.support.documents import CHECKOUT, README, README_ZH, code, tables

PAGE = (CHECKOUT / "docs" / "hazards.md").read_text()
NOT_SHOWN = "not shown"
ROWS = [row for table in tables(PAGE) for row in table[1:]]
SHOWN = [pytest.param(row[1], row[2], id=row[0]) for row in ROWS if row[1] != NOT_SHOWN]


def parsed(command: str) -> tuple[str, dict[str, Any]]:
    """The command's name, and its arguments as the command line understands them."""
    (line,) = code(command)
    program, name, *rest = shlex.split(line)
    found = cli.get_command(click.Context(cli), name)
    assert program == "ipclab"
    assert found is not None
    return name, found.make_context(name, rest).params


def trials(command: str) -> list[TrialSpec]:
    """The trials that a run would make; none of another command."""
    name, asked = parsed(command)
    if name != "run":
        return []
    fields = {key: asked[key] for key in Request.__dataclass_fields__ if key in asked}
    return experiment.load(asked["name"]).plan(Request(**fields)).trials


def test_every_row_has_three_cells_and_says_something() -> None:
    assert len(ROWS) > 50
    for hazard, command, shows in ROWS:
        assert all((hazard, command, shows))
        assert command == NOT_SHOWN or command.startswith("`ipclab ")


@pytest.mark.parametrize(("command", "shows"), SHOWN)
def test_a_command_has_something_to_do_on_every_backend_that_it_names(command: str, shows: str) -> None:
    name, asked = parsed(command)
    if name == "claims":
        assert asked["wanted"]
        assert catalogue.find(asked["wanted"])
    else:
        assert {spec.backend.name for spec in trials(command)} == {v.name for v in asked["backends"]}


@pytest.mark.parametrize(("command", "shows"), [p for p in SHOWN if "run client" in p.values[0]])
def test_a_scenario_is_one_that_the_command_plays(command: str, shows: str) -> None:
    played = {spec.scenario for spec in trials(command)}
    (named,) = re.findall(r"scenarios? `([\w-]+)`", shows)
    assert named in played
    assert SCENARIOS[named].fix in played


@pytest.mark.parametrize(("command", "shows"), [p for p in SHOWN if "run crash" in p.values[0]])
def test_a_cell_is_one_that_the_command_plays(command: str, shows: str) -> None:
    found = re.match(r"cell ([\w-]+), (\w+)(?:, (?:in )?(idle|busy|working|mid-message))?", shows)
    assert found is not None
    action, target, moment = found.groups()
    played = [spec.fault for spec in trials(command) if spec.fault is not None]
    assert [f for f in played if (f.action, f.target) == (action, target) and moment in (None, f.moment)]


@pytest.mark.parametrize(("command", "shows"), [p for p in SHOWN if "run race" in p.values[0]])
def test_a_row_of_a_race_is_one_that_the_command_makes(command: str, shows: str) -> None:
    made = {f"{spec.backend.name} {spec.backend.options['discipline']}" for spec in trials(command)}
    (backend,) = {name.split(" ")[0] for name in made}
    named = [name for name in code(shows) if name.startswith(f"{backend} ")]
    assert named
    assert set(named) <= made


def test_every_claim_that_is_named_is_there() -> None:
    numbers = {number for _, _, shows in ROWS for number in re.findall(r"[Cc]laim (\d+)", shows)}
    assert numbers
    for number in numbers:
        assert catalogue.find([number])


def test_every_scenario_stands_on_the_page() -> None:
    named = set(code(PAGE))
    assert {name for name, scenario in SCENARIOS.items() if scenario.fix} <= named


@pytest.mark.parametrize(
    "page", [README, README_ZH, CHECKOUT / "docs" / "safety.md"], ids=lambda page: page.name
)
def test_the_page_is_linked(page: Any) -> None:
    assert "hazards.md)" in page.read_text()
