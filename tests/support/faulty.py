"""Backends with a seeded fault: what a trial must notice, name, and survive.

They are ``queue`` with something wrong with it, registered as another package's backends are.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from ipclab.backends.base import Consumer, Option, Producer
from ipclab.backends.local.queue import QueueChannel
from ipclab.errors import UsageError
from ipclab.trial.message import HEADER_BYTES, STOP, stamp

EVERY = 20
"""One of so many messages meets the fault."""
AFTER = 200
"""A worker that is to die or to hang does so after so many messages."""

DELIVERY_FAULTS = ("drop", "duplicate", "swap", "corrupt header", "corrupt tail", "phantom")
RAISING_FAULTS = ("setup raises", "producer raises", "consumer raises", "send raises", "receive raises")
HANGING_FAULTS = ("producer hangs", "consumer hangs", "send hangs", "receive hangs", "close hangs")
EARLY_FAULTS = ("unpickling hangs",)
DEADLY_FAULTS = ("producer dies", "consumer dies")
OTHER_FAULTS = ("server too old", "consumer gives up", "teardown raises")
FAULTS = (
    "none",
    *DELIVERY_FAULTS,
    *RAISING_FAULTS,
    *HANGING_FAULTS,
    *EARLY_FAULTS,
    *DEADLY_FAULTS,
    *OTHER_FAULTS,
)


def hang_for_ever() -> None:
    """Block as a client does whose server never answers."""
    signal.pause()


class _FaultyProducer(Producer):
    def __init__(self, inner: Producer, index: int, fault: str) -> None:
        self._inner = inner
        self._index = index
        self._fault = fault
        self._count = 0
        self._held: bytes | None = None

    def send(self, body: bytes) -> None:
        self._count += body != STOP
        if self._held is not None:
            held, self._held = self._held, None
            # Nothing is received behind STOP, so what is held goes before it: lost is another fault.
            first, body = (held, body) if body == STOP else (body, held)
            self._inner.send(first)
        elif body != STOP and self._count % EVERY == 0:
            self._with_delivery_fault(body)
            return
        if self._count > AFTER and body != STOP:
            self._with_other_fault()
        self._inner.send(body)

    def _with_delivery_fault(self, body: bytes) -> None:
        if self._fault == "drop":
            return
        if self._fault == "swap":
            self._held = body
            return
        if self._fault == "corrupt header":
            body = body[:8] + bytes([body[8] ^ 1]) + body[9:]
        elif self._fault == "corrupt tail":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self._inner.send(body)
        if self._fault == "duplicate":
            self._inner.send(body)
        elif self._fault == "phantom":
            trial = int.from_bytes(body[6:8], "little")
            self._inner.send(stamp(self._index, 1 << 40, 1, body[HEADER_BYTES:], trial))

    def _with_other_fault(self) -> None:
        if self._fault == "send raises":
            raise OSError("the seeded fault")
        if self._fault == "send hangs":
            hang_for_ever()
        if self._fault == "producer dies":
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        if self._fault == "close hangs":
            hang_for_ever()
        self._inner.close()


class _FaultyConsumer(Consumer):
    def __init__(self, inner: Consumer, fault: str) -> None:
        self._inner = inner
        self._fault = fault
        self._count = 0

    def receive(self) -> Sequence[bytes]:
        self._count += 1
        if self._count > AFTER:
            if self._fault in ("receive raises", "consumer gives up"):
                raise OSError("the seeded fault")
            if self._fault == "receive hangs":
                hang_for_ever()
            if self._fault == "consumer dies":
                os.kill(os.getpid(), signal.SIGKILL)
        return self._inner.receive()


class FaultyChannel(QueueChannel):
    """``queue`` with the fault that its option names; "setup raises" only after it has made the queue."""

    name = "faulty"
    summary = "queue with a seeded fault"
    options = (Option("fault", "none", "what is wrong with it", FAULTS),)
    _has_connected = False

    @property
    def fault(self) -> str:
        """Return the fault that was chosen."""
        return str(self.chosen["fault"])

    def setup(self) -> None:
        super().setup()
        self._raise_if("setup raises")
        if self.fault == "server too old":
            raise UsageError("faulty needs a newer server")

    def __setstate__(self, state: dict[str, object]) -> None:
        """Arrive in a spawned worker, which has not come to its role yet."""
        self.__dict__.update(state)
        if self.fault == "unpickling hangs":
            hang_for_ever()

    def producer(self, index: int) -> Producer:
        self._raise_if("producer raises")
        if self.fault == "producer hangs":
            hang_for_ever()
        return _FaultyProducer(super().producer(index), index, self.fault)

    def consumer(self, index: int) -> Consumer:
        self._raise_if("consumer raises")
        if self._has_connected:
            self._raise_if("consumer gives up")
        self._has_connected = True
        if self.fault == "consumer hangs":
            hang_for_ever()
        return _FaultyConsumer(super().consumer(index), self.fault)

    def teardown(self) -> None:
        super().teardown()
        self._raise_if("teardown raises")

    def _raise_if(self, fault: str) -> None:
        if self.fault == fault:
            raise OSError("the seeded fault")


def install(folder: Path) -> None:
    """Make ``folder`` look like a place where a package with this backend is installed."""
    package = folder / "ipclab_faulty-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: ipclab-faulty\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[ipclab.backends]\nfaulty = tests.support.faulty:FaultyChannel\n"
    )
