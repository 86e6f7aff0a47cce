"""Ends a pool without a hang."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing.pool import Pool


@contextlib.contextmanager
def finishing(pool: Pool) -> Iterator[Pool]:
    """Yield the pool; at the end of the block close it and wait for it.

    The end of ``with pool`` terminates it instead, and that waits for ever where it kills a worker in the
    middle of handing over a result. Where the block raises, the pool is left as it is.
    """
    yield pool
    pool.close()
    pool.join()
