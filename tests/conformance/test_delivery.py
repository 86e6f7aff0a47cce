"""What every channel promises while nothing fails: all of it, once, intact, in order where declared."""

from __future__ import annotations

import pytest

from ipclab.conform.bench import Bench
from ipclab.conform.promises import delivery
from ipclab.conform.suite import Case
from tests.conformance.conftest import keep

pytestmark = pytest.mark.timeout(60, method="signal")
PROMISES = delivery.PROMISES


def test_every_backend_keeps_the_promise(bench: Bench, case: Case) -> None:
    keep(case, bench)
