"""What is left of the messages that a consumer had not acknowledged when it was killed."""

from __future__ import annotations

import pytest

from ipclab.conform.bench import Bench
from ipclab.conform.promises import consumers
from ipclab.conform.suite import Case
from tests.conformance.conftest import keep

pytestmark = pytest.mark.timeout(60, method="signal")
PROMISES = consumers.PROMISES


def test_every_backend_keeps_the_promise(bench: Bench, case: Case) -> None:
    keep(case, bench)
