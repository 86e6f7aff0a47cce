"""The bench on which every backend of the registry is tried, in every mode that it declares.

The checks are those of ``ipclab.conform``. A file of tests names its promises in ``PROMISES``. Its test takes
a ``case``, and runs once for each promise and each mode or counter that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant
from ipclab.brokers import Broker
from ipclab.conform import suite
from ipclab.conform.bench import Bench
from ipclab.conform.leftovers import no_process_left
from ipclab.conform.promise import Undecided
from ipclab.conform.suite import Case


def asked(config: pytest.Config) -> list[Variant]:
    """Return the backends that ``--backend`` names."""
    return [Variant.parse(text) for text in config.getoption("--backend")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once for every case of the promises of its file."""
    if "case" in metafunc.fixturenames:
        found = suite.cases(asked(metafunc.config), metafunc.module.PROMISES)
        metafunc.parametrize("case", found, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests about promises that none of the chosen backends makes."""
    about_none = [item for item in items if _is_about_none(item)]
    items[:] = [item for item in items if item not in about_none]
    config.hook.pytest_deselected(items=about_none)


def _is_about_none(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("skip")
    return mark is not None and str(mark.kwargs.get("reason", "")).startswith("got empty parameter set")


def keep(case: Case, bench: Bench) -> None:
    """Fail where the promise is broken; skip where it is undecided."""
    try:
        case.check(bench)
    except Undecided as reason:
        pytest.skip(f"{case.subject}: {reason}")


@pytest.fixture
def bench(broker_of: Callable[[BrokerKind], Broker]) -> Iterator[Bench]:
    """A bench; afterwards neither a process nor a name on a server is left of what was on it."""
    with no_process_left(), ExitStack() as stack:
        yield Bench(stack, broker_of)
