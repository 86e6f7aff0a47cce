"""Give each Python process of one test machine a clock with a known offset and drift.

``IPCLAB_TEST_CLOCK`` is ``offset_ns,drift_ppm,origin_ns``. The interpreter imports this file at its start,
where the folder is on PYTHONPATH.
"""

import os
import time


def _install(offset_ns: int, drift_ppm: int, origin_ns: int) -> None:
    perf_counter_ns, monotonic_ns = time.perf_counter_ns, time.monotonic_ns

    def perf_ns() -> int:
        """Return the shifted ``perf_counter_ns``."""
        now = perf_counter_ns()
        return now + offset_ns + (now - origin_ns) * drift_ppm // 1_000_000

    def mono_ns() -> int:
        """Return the shifted ``monotonic_ns``."""
        now = monotonic_ns()
        return now + offset_ns + (now - origin_ns) * drift_ppm // 1_000_000

    time.perf_counter_ns, time.monotonic_ns = perf_ns, mono_ns
    time.perf_counter = lambda: perf_ns() / 1e9
    time.monotonic = lambda: mono_ns() / 1e9


if "IPCLAB_TEST_CLOCK" in os.environ:
    _install(*map(int, os.environ["IPCLAB_TEST_CLOCK"].split(",")))
