"""Which machine runs which worker."""

from __future__ import annotations

import pytest

from ipclab.errors import UsageError
from ipclab.hosts.address import parse_all
from ipclab.hosts.placement import machine_of, parse

MACHINES = parse_all(["ssh:user@a", "ssh:b", "exec:python"])


def test_roles_are_placed_by_number_and_by_name() -> None:
    found = parse(["producer=a,b", "consumer=3"], MACHINES)
    assert found == {"producer": [1, 2], "consumer": [3]}
    assert [machine_of(found, "producer", index) for index in range(4)] == [1, 2, 1, 2]


def test_a_role_that_is_not_placed_runs_everywhere() -> None:
    assert parse([], MACHINES) == {"producer": [1, 2, 3], "consumer": [1, 2, 3]}
    assert parse([], ()) == {}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["producer"], "write --place"),
        (["broker=1"], "the roles are"),
        (["producer=4"], "no machine 4, only 1 to 3"),
        (["producer=c"], "no machine c"),
        (["producer=1", "consumer=1"], "leaves nothing to machine 2"),
    ],
)
def test_a_placement_that_does_not_fit_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(texts, MACHINES)


def test_a_placement_without_machines_is_refused() -> None:
    with pytest.raises(UsageError, match="name them with --host"):
        parse(["producer=1"], ())


def test_a_name_of_two_machines_is_refused() -> None:
    with pytest.raises(UsageError, match="several machines are called a"):
        parse(["producer=a"], parse_all(["ssh:a", "ssh:x@a"]))
