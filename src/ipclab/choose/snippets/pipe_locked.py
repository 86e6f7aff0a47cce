"""Jobs in a ``multiprocessing.Pipe`` with a lock around each end, for any number of processes.

A worker that is killed while it holds the lock blocks all the others.
"""

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock

WORKERS = 3


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def send(writer: Connection, lock: Lock, job: bytes) -> None:
    """Send a job; any process may do this."""
    with lock:
        writer.send_bytes(job)


def worker(reader: Connection, lock: Lock) -> None:
    """Do jobs until there is an empty one."""
    while True:
        with lock:
            job = reader.recv_bytes()
        if not job:
            return
        work(job)


def main(jobs_to_do: list[bytes]) -> None:
    """Start the workers, hand out the jobs, and return when all of them are done."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    reading, writing = multiprocessing.Lock(), multiprocessing.Lock()
    workers = [multiprocessing.Process(target=worker, args=(reader, reading)) for _ in range(WORKERS)]
    for process in workers:
        process.start()
    for job in [*jobs_to_do, *[b""] * WORKERS]:
        send(writer, writing, job)
    for process in workers:
        process.join()


if __name__ == "__main__":
    main([b"first job", b"second job"])
