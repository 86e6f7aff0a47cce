"""Jobs over ZeroMQ PUSH and PULL, without a server: each worker listens, and the sender connects to all.

A job is in the memory of a process until it is done, and is lost with that process.
"""

import multiprocessing
import os
import tempfile

import zmq

TRANSPORT = "ipc"
HWM = 1000
IMMEDIATE = 1
WORKERS = 2


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def address(index: int) -> str:
    """Return where worker ``index`` listens."""
    if TRANSPORT == "tcp":
        return f"tcp://127.0.0.1:{5600 + index}"
    return f"ipc://{tempfile.gettempdir()}/jobs-{os.getuid()}-{index}"


def worker(index: int) -> None:
    """Do jobs until there is an empty one."""
    with zmq.Context() as context, context.socket(zmq.PULL) as end:
        end.set_hwm(HWM)
        end.bind(address(index))
        while job := end.recv():
            work(job)


def main(jobs: list[bytes]) -> None:
    """Start the workers, hand out the jobs in turns, and return when all of them are done."""
    workers = [multiprocessing.Process(target=worker, args=(index,)) for index in range(WORKERS)]
    for process in workers:
        process.start()
    for index in range(WORKERS):
        with zmq.Context() as context, context.socket(zmq.PUSH) as end:
            end.set_hwm(HWM)
            end.setsockopt(zmq.IMMEDIATE, IMMEDIATE)
            end.connect(address(index))
            for job in [*jobs[index::WORKERS], b""]:
                end.send(job)
    for process in workers:
        process.join()


if __name__ == "__main__":
    main([b"first job", b"second job"])
