"""Jobs in a ``multiprocessing.Pipe``, from one process to one worker."""

import multiprocessing
from multiprocessing.connection import Connection


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def worker(reader: Connection, writer: Connection) -> None:
    """Do jobs until the sender has closed its end."""
    # Otherwise this process would hold the end that it waits for to be closed.
    writer.close()
    while True:
        try:
            job = reader.recv_bytes()
        except EOFError:
            return
        work(job)


def main(jobs_to_do: list[bytes]) -> None:
    """Start the worker, send it the jobs, and return when all of them are done."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=worker, args=(reader, writer))
    process.start()
    reader.close()
    for job in jobs_to_do:
        writer.send_bytes(job)
    writer.close()
    process.join()


if __name__ == "__main__":
    main([b"first job", b"second job"])
