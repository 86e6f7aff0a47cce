"""Jobs in the queue of a ``multiprocessing.Manager``: put() returns once the server has the job."""

import multiprocessing
from typing import Any

WORKERS = 3


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def worker(jobs: Any) -> None:
    """Do jobs until there is an empty one."""
    while job := jobs.get():
        work(job)


def main(jobs_to_do: list[bytes]) -> None:
    """Start the workers, hand out the jobs, and return when all of them are done."""
    manager = multiprocessing.Manager()
    jobs = manager.Queue()
    workers = [multiprocessing.Process(target=worker, args=(jobs,)) for _ in range(WORKERS)]
    for process in workers:
        process.start()
    for job in [*jobs_to_do, *[b""] * WORKERS]:
        jobs.put(job)
    for process in workers:
        process.join()
    manager.shutdown()


if __name__ == "__main__":
    main([b"first job", b"second job"])
