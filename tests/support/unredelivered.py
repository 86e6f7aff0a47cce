"""Channels that declare at-least-once and never deliver anything again.

They are plain plug-ins, written as by somebody who overlooks what a crashed consumer owes: a folder whose
messages are claimed by a rename and never rescued, and socket pairs that keep the bounds of messages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer
from ipclab.backends.local.queue import SimpleQueueChannel

PROMISED = Guarantees(
    delivery="at-least-once",
    may_lose=frozenset(),
    order="none",
    durability="none",
    confirm="written",
    reach="host",
)
POLL_S = 0.002


class FolderProducer(Producer):
    """Writes each message into a file of its own, and renames it into place."""

    def __init__(self, folder: Path, index: int) -> None:
        self._folder, self._index, self._count = folder, index, 0

    def send(self, body: bytes) -> None:
        name = f"{time.monotonic_ns():020d}-{os.getpid()}-{self._index}-{self._count}"
        self._count += 1
        partial = self._folder / "new" / name
        partial.write_bytes(body)
        partial.rename(self._folder / "ready" / name)


class FolderConsumer(Consumer):
    """Claims the oldest message by a rename into its own folder; ``ack`` deletes what was claimed."""

    acknowledges = True

    def __init__(self, folder: Path, index: int) -> None:
        self._ready, self._own = folder / "ready", folder / f"claimed-{index}"
        self._own.mkdir(exist_ok=True)
        self._claimed: list[Path] = []

    def receive(self) -> Sequence[bytes]:
        while True:
            for name in sorted(os.listdir(self._ready)):
                claimed = self._own / name
                with contextlib.suppress(FileNotFoundError):
                    (self._ready / name).rename(claimed)
                    self._claimed.append(claimed)
                    return (claimed.read_bytes(),)
            time.sleep(POLL_S)

    def ack(self) -> None:
        for claimed in self._claimed:
            claimed.unlink()
        self._claimed.clear()


class FolderChannel(Channel):
    """What a killed consumer has claimed stays in its folder for ever."""

    name = "folder"
    summary = "files in a folder, claimed by a rename and never rescued"
    guarantees = PROMISED
    _folder = Path()

    def setup(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="unredelivered-"))
        for name in ("new", "ready"):
            (self._folder / name).mkdir()

    def producer(self, index: int) -> Producer:
        return FolderProducer(self._folder, index)

    def consumer(self, index: int) -> Consumer:
        return FolderConsumer(self._folder, index)

    def teardown(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class RescuingConsumer(FolderConsumer):
    """Claims into a folder of its process, and first takes over what a process that has ended had claimed."""

    def __init__(self, folder: Path, index: int) -> None:
        super().__init__(folder, index)
        self._folder = folder
        self._own = folder / f"claimed-by-{os.getpid()}"
        self._own.mkdir(exist_ok=True)

    def receive(self) -> Sequence[bytes]:
        while True:
            for claims in self._folder.glob("claimed-by-*"):
                if not _lives(int(claims.name.rpartition("-")[2])):
                    self.rescue(sorted(claims.iterdir()))
            for name in sorted(os.listdir(self._ready)):
                claimed = self._own / name
                with contextlib.suppress(FileNotFoundError):
                    (self._ready / name).rename(claimed)
                    self._claimed.append(claimed)
                    return (claimed.read_bytes(),)
            time.sleep(POLL_S)

    def rescue(self, claims: Sequence[Path]) -> None:
        """Put these back."""
        for claim in claims:
            with contextlib.suppress(FileNotFoundError):
                claim.rename(self._ready / claim.name)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class NewestOnlyConsumer(RescuingConsumer):
    """Remembers one message of a process that has ended, and drops the others."""

    def rescue(self, claims: Sequence[Path]) -> None:
        super().rescue(claims[-1:])
        for claim in claims[:-1]:
            claim.unlink(missing_ok=True)


class NewestOnlyChannel(FolderChannel):
    """Delivers again what a killed consumer received last, and nothing that it received before."""

    name = "newest-only"
    summary = "files in a folder, of which the newest is rescued"

    def consumer(self, index: int) -> Consumer:
        return NewestOnlyConsumer(self._folder, index)


class RescuingChannel(FolderChannel):
    """Delivers again all that a killed consumer had claimed."""

    name = "rescuing"
    summary = "files in a folder, all of which are rescued"

    def consumer(self, index: int) -> Consumer:
        return RescuingConsumer(self._folder, index)


class DatagramProducer(Producer):
    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, body: bytes) -> None:
        self._end.send(body)


class DatagramConsumer(Consumer):
    """Has no acknowledgement at all: what it has read is gone from the socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def receive(self) -> Sequence[bytes]:
        return (self._end.recv(1 << 16),)


class SeqpacketChannel(Channel):
    """A pair of sockets, shared by all processes."""

    name = "seqpacket"
    summary = "a socket pair that keeps the bounds of messages"
    guarantees = Guarantees(
        delivery="at-least-once",
        may_lose=frozenset(),
        order="none",
        durability="none",
        confirm="written",
        reach="process tree",
        max_message_bytes=1 << 15,
    )
    kind = socket.SOCK_SEQPACKET
    _ends: tuple[socket.socket, ...] = ()

    def setup(self) -> None:
        self._ends = socket.socketpair(socket.AF_UNIX, self.kind)

    def producer(self, index: int) -> Producer:
        return DatagramProducer(self._ends[0])

    def consumer(self, index: int) -> Consumer:
        return DatagramConsumer(self._ends[1])

    def teardown(self) -> None:
        for end in self._ends:
            end.close()


class DatagramChannel(SeqpacketChannel):
    name = "datagram"
    kind = socket.SOCK_DGRAM
    impossible_moments: ClassVar[Mapping[str, str]] = {"mid-message": "a datagram is handed over whole"}


class TinyChannel(SeqpacketChannel):
    """Carries no more than a header and a few bytes, and refuses more by an error of the socket's user."""

    name = "tiny"
    guarantees = replace(SeqpacketChannel.guarantees, max_message_bytes=24, delivery="at-most-once")

    def producer(self, index: int) -> Producer:
        return TinyProducer(self._ends[0])


class TinyProducer(DatagramProducer):
    def send(self, body: bytes) -> None:
        if len(body) > 24:
            raise ValueError(f"{len(body)} bytes are too many")
        super().send(body)


class MegabyteChannel(SimpleQueueChannel):
    """Carries no more than 1 MiB, and refuses more by an error of the queue's user."""

    name = "megabyte"

    @property
    def guarantees(self) -> Guarantees:
        return replace(super().guarantees, max_message_bytes=1 << 20)

    def producer(self, index: int) -> Producer:
        return MegabyteProducer(super().producer(index))


class MegabyteProducer(Producer):
    def __init__(self, inner: Producer) -> None:
        self._inner = inner

    def send(self, body: bytes) -> None:
        if len(body) > 1 << 20:
            raise ValueError(f"{len(body)} bytes are too many")
        self._inner.send(body)


CHANNELS = {channel.name: channel for channel in (FolderChannel, SeqpacketChannel, DatagramChannel)}
