"""That a backend uses its own names only, and leaves nothing behind."""

from __future__ import annotations

import pytest

from ipclab.conform.bench import Bench
from ipclab.conform.promises import housekeeping
from ipclab.conform.suite import Case
from tests.conformance.conftest import keep

pytestmark = pytest.mark.timeout(60, method="signal")
PROMISES = housekeeping.PROMISES


def test_every_backend_keeps_the_promise(bench: Bench, case: Case) -> None:
    keep(case, bench)
