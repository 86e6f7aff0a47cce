"""Jobs in the dict of a ``multiprocessing.Manager``: a worker polls, and takes the newest job first."""

import multiprocessing
import time
import uuid
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
            return bytes(jobs.popitem()[1])
        except KeyError:
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def worker(jobs: Any) -> None:
    """Do jobs until there is an empty one."""
    while job := take(jobs):
        work(job)


def main(jobs_to_do: list[bytes]) -> None:
    """Start the workers, hand out the jobs, and return when all of them are done."""
    manager = multiprocessing.Manager()
    jobs = manager.dict()
    workers = [multiprocessing.Process(target=worker, args=(jobs,)) for _ in range(WORKERS)]
    for process in workers:
        process.start()
    for job in jobs_to_do:
        jobs[uuid.uuid4().hex] = job
    while len(jobs):
        time.sleep(LONGEST_WAIT_S)
    for _ in workers:
        jobs[uuid.uuid4().hex] = b""
    for process in workers:
        process.join()
    manager.shutdown()


if __name__ == "__main__":
    main([b"first job", b"second job"])
