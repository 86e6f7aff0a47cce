"""Jobs in the list of a ``multiprocessing.Manager``. Nothing wakes a waiting worker, so it polls."""

import multiprocessing
import time
from typing import Any

WORKERS = 3
FIRST_WAIT_S, LONGEST_WAIT_S = 0.000_05, 0.001_6


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def take(jobs: Any) -> bytes:
    """Wait until there is a job and take it; only one worker gets it."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return bytes(jobs.pop(0))
        except IndexError:
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def worker(jobs: Any) -> None:
    """Do jobs until there is an empty one."""
    while job := take(jobs):
        work(job)


def main(jobs_to_do: list[bytes]) -> None:
    """Start the workers, hand out the jobs, and return when all of them are done."""
    manager = multiprocessing.Manager()
    jobs = manager.list()
    workers = [multiprocessing.Process(target=worker, args=(jobs,)) for _ in range(WORKERS)]
    for process in workers:
        process.start()
    for job in [*jobs_to_do, *[b""] * WORKERS]:
        jobs.append(job)
    for process in workers:
        process.join()
    manager.shutdown()


if __name__ == "__main__":
    main([b"first job", b"second job"])
