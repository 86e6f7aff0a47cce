"""The one clock of a trial, and the check that all processes of this host read the same one."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from multiprocessing.connection import Connection

import msgspec

from ipclab.errors import ClockError
from ipclab.host.interruptions import die_with_parent, starting
from ipclab.host.start_methods import StartMethod, context, require_guarded_main

now_ns = time.perf_counter_ns
"""Return nanoseconds on the host's monotonic clock; only differences have a meaning."""


class ClockTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``offset_bound_ns``: another process's reading differs from ours by at most this. ``step_ns``: the
    smallest observed difference between two readings."""

    rounds: int
    offset_bound_ns: int
    step_ns: int


def self_test(start_method: StartMethod, rounds: int = 200) -> ClockTest:
    """Compare another process's clock with ours; return the result.

    Its reading must lie between two readings of ours, in every round; the tightest round bounds the offset.
    Raise ClockError where it does not.
    """
    require_guarded_main()
    ours, theirs = context(start_method).Pipe()
    process = context(start_method).Process(target=_answer, args=(theirs, rounds), daemon=True)
    tightest_ns = None
    try:
        with starting():
            process.start()
        # From now on only the other process holds that end, so that its death is noticed.
        theirs.close()
        for _ in range(rounds):
            before = now_ns()
            ours.send_bytes(b"?")
            if not ours.poll(10):
                raise ClockError("the clock self-test got no answer from its process within 10 s")
            reading = int(ours.recv_bytes())
            after = now_ns()
            if not before <= reading <= after:
                raise ClockError(
                    f"two processes disagree about the time: {reading} is not between {before} and {after}; "
                    f"latencies cannot be measured on this machine"
                )
            tightest_ns = min(after - before, tightest_ns or after - before)
    except (EOFError, OSError) as error:
        raise ClockError(
            "the process of the clock self-test ended before it answered; with spawn or forkserver, guard "
            "what the program runs by: if __name__ == '__main__'"
        ) from error
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        ours.close()
    assert tightest_ns is not None
    return ClockTest(rounds=rounds, offset_bound_ns=tightest_ns, step_ns=_smallest_step_ns())


def _answer(connection: Connection, rounds: int) -> None:
    # A forked process holds a copy of the other end, so that it gets no end of file when the lab is killed.
    die_with_parent(signal.SIGKILL)
    with contextlib.suppress(EOFError, OSError):
        for _ in range(rounds):
            connection.recv_bytes()
            connection.send_bytes(b"%d" % now_ns())


def _smallest_step_ns() -> int:
    readings = [now_ns() for _ in range(10_000)]
    return min(b - a for a, b in itertools.pairwise(readings) if b > a)
