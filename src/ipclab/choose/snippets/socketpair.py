"""Jobs in a pair of Unix sockets that carry whole messages: no lock that a dead worker could keep."""

import multiprocessing
import socket

WORKERS = 3
LARGEST_BYTES = 200_000


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def worker(jobs: socket.socket) -> None:
    """Do jobs until there is an empty one."""
    while job := jobs.recv(LARGEST_BYTES):
        work(job)


def main(jobs_to_do: list[bytes]) -> None:
    """Start the workers, hand out the jobs, and return when all of them are done."""
    receiving, sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    workers = [multiprocessing.Process(target=worker, args=(receiving,)) for _ in range(WORKERS)]
    for process in workers:
        process.start()
    for job in [*jobs_to_do, *[b""] * WORKERS]:
        sending.send(job)
    for process in workers:
        process.join()
    receiving.close()
    sending.close()


if __name__ == "__main__":
    main([b"first job", b"second job"])
