"""Which bodies a channel carries: any bytes up to its largest size, and none above that is lost silently."""

from __future__ import annotations

import pytest

from ipclab.conform.bench import Bench
from ipclab.conform.promises import sizes
from ipclab.conform.suite import Case
from tests.conformance.conftest import keep

pytestmark = pytest.mark.timeout(60, method="signal")
PROMISES = sizes.PROMISES


def test_every_backend_keeps_the_promise(bench: Bench, case: Case) -> None:
    keep(case, bench)
