"""What every counter promises under each of its disciplines."""

from __future__ import annotations

import pytest

from ipclab.conform.bench import Bench
from ipclab.conform.promises import counters
from ipclab.conform.suite import Case
from tests.conformance.conftest import keep

pytestmark = pytest.mark.timeout(60, method="signal")
PROMISES = counters.PROMISES


def test_every_backend_keeps_the_promise(bench: Bench, case: Case) -> None:
    keep(case, bench)
