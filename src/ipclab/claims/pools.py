"""Ending a pool without harm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing.pool import Pool


@contextlib.contextmanager
def finishing(pool: Pool) -> Iterator[Pool]:
    """Yield the pool; at the end of the block it is closed and waited for.

    To leave ``with pool`` is to terminate it instead, and that waits for ever where it kills a worker in the
    middle of handing over a result. Where the block raises, the pool is left as it is.
    """
    yield pool
    pool.close()
    pool.join()
