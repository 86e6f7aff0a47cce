"""Which cases are checked on which server, and which are undecided."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipclab.backends.registry import Variant
from ipclab.conform import process, run, suite
from ipclab.conform.outcome import Outcome
from ipclab.errors import UsageError


def case(name: str, backend: str = "redis-stream") -> suite.Case:
    """Return the first case of a promise."""
    return next(one for one in suite.cases([Variant(backend)]) if one.promise.name == name)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[suite.Case]:
    """The cases that were checked, without checking them."""
    found: list[suite.Case] = []

    def note(one: suite.Case, brokers: Any, folder: Path) -> Outcome:
        found.append(one)
        return process.undecided(one, "not run")

    monkeypatch.setattr(process, "run", note)
    return found


def broker(*, ours: bool) -> Any:
    """Return what a case asks of a broker before it begins."""
    revived: list[int] = []
    return SimpleNamespace(
        ours=ours, masked_url="redis://host", revive=lambda: revived.append(1), revived=revived
    )


def test_a_server_of_the_user_is_not_killed(checked: list[suite.Case], tmp_path: Path) -> None:
    found = run._outcome(case("server-killed"), {"redis": broker(ours=False)}, tmp_path)
    assert (found.verdict, checked) == ("undecided", [])
    assert "redis://host is yours" in found.reason


def test_a_server_of_the_user_is_used(checked: list[suite.Case], tmp_path: Path) -> None:
    server = broker(ours=False)
    run._outcome(case("once"), {"redis": server}, tmp_path)
    assert ([one.promise.name for one in checked], server.revived) == (["once"], [])


def test_a_server_of_the_lab_is_revived_before_each_case(checked: list[suite.Case], tmp_path: Path) -> None:
    server = broker(ours=True)
    run._outcome(case("server-killed"), {"redis": server}, tmp_path)
    assert (len(checked), server.revived) == (1, [1])


def test_each_case_needs_the_server_of_its_own_face() -> None:
    assert run.broker_of(case("once")) == "redis"
    assert run.broker_of(case("counts", "value")) is None


def test_a_backend_without_promises_is_refused() -> None:
    with pytest.raises(UsageError, match="ipclab run race"):
        run._require_promises([Variant("value"), Variant("only-a-lock")], suite.cases([Variant("value")]))
