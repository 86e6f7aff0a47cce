"""Jobs in a ring of shared memory, from one process to one worker, on x86 only: no lock, no system call."""

import multiprocessing
import struct
import time
from multiprocessing.shared_memory import SharedMemory

RING_KIB = 1024
DATA = 128
PAUSE_S = 0.0002


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


class Ring:
    """Positions 0 (head, which only the reader writes) and 8 (tail, which only the writer writes) grow."""

    def __init__(self, segment: SharedMemory) -> None:
        assert segment.buf is not None, "the segment is open"
        self.words = segment.buf[:DATA].cast("Q")
        self.data = segment.buf[DATA : DATA + RING_KIB * 1024]

    def close(self) -> None:
        """Let go of the memory, which cannot be closed before."""
        self.words.release()
        self.data.release()

    def copy(self, at: int, length: int) -> bytes:
        """Return bytes of the ring, which may go round its end."""
        at %= len(self.data)
        piece = bytes(self.data[at : at + length])
        return piece + bytes(self.data[: length - len(piece)])

    def put(self, job: bytes) -> None:
        """Write a job; its length comes first, and the new tail last."""
        message, tail = struct.pack("<Q", len(job)) + job, self.words[8]
        if len(message) > len(self.data):
            raise ValueError("the job is larger than the ring")
        while tail + len(message) - self.words[0] > len(self.data):
            time.sleep(PAUSE_S)
        at = tail % len(self.data)
        first = message[: len(self.data) - at]
        self.data[at : at + len(first)] = first
        self.data[: len(message) - len(first)] = message[len(first) :]
        self.words[8] = tail + len(message)

    def get(self) -> bytes:
        """Wait for a job and return it."""
        head = self.words[0]
        while self.words[8] == head:
            time.sleep(PAUSE_S)
        (length,) = struct.unpack("<Q", self.copy(head, 8))
        job = self.copy(head + 8, length)
        self.words[0] = head + 8 + length
        return job


def worker(name: str) -> None:
    """Do jobs until there is an empty one."""
    segment = SharedMemory(name)
    ring = Ring(segment)
    while job := ring.get():
        work(job)
    ring.close()
    segment.close()


def main(jobs_to_do: list[bytes]) -> None:
    """Start the worker, send it the jobs, and return when all of them are done."""
    segment = SharedMemory(create=True, size=DATA + RING_KIB * 1024)
    ring = Ring(segment)
    process = multiprocessing.Process(target=worker, args=(segment.name,))
    process.start()
    for job in [*jobs_to_do, b""]:
        ring.put(job)
    process.join()
    ring.close()
    segment.close()
    segment.unlink()


if __name__ == "__main__":
    main([b"first job", b"second job"])
