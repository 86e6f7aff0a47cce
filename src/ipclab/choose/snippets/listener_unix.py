"""Jobs over a Unix socket: programs that know the address send (Client), one worker listens (Listener)."""

import threading
from multiprocessing.connection import Client, Listener

ADDRESS = "jobs.socket"


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def send(jobs: list[bytes]) -> None:
    """Send jobs; each is in a buffer of the connection when this returns, and lost if the worker dies."""
    with Client(ADDRESS) as connection:
        for job in jobs:
            connection.send_bytes(job)


def worker(listener: Listener, many: int) -> None:
    """Do this many jobs. Each program that sends gets a connection of its own, one after the other."""
    while many:
        with listener.accept() as connection:
            while many:
                try:
                    job = connection.recv_bytes()
                except EOFError:
                    break
                work(job)
                many -= 1


if __name__ == "__main__":
    with Listener(ADDRESS) as listening:
        sender = threading.Thread(target=send, args=([b"first job", b"second job"],))
        sender.start()
        worker(listening, 2)
        sender.join()
