"""One machine as the process of a trial sees it: tell it something, take what it says, notice its loss."""

from __future__ import annotations

import importlib.util
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ipclab import __version__
from ipclab.errors import UsageError
from ipclab.hosts.address import Address
from ipclab.hosts.far_end import code_of
from ipclab.hosts.frames import Reader, framed
from ipclab.hosts.pump import Settings

LEASE_S = 8.0
"""A connection on which nothing came for this long is lost; both ends send a sign of life each second."""
_CHUNK_BYTES = 2**18
_END_S = 8.0
INSTALL = "pip install 'ipclab[hosts]'"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine says of itself before anything runs there; see ``far_end.facts``."""

    python: str
    executable: str
    version: str
    code: str
    missing: list[str]
    cores: int
    load: float
    clock: str
    network: str

    def misfit(self, number: int) -> str:
        """Return in one line why the machine ``number`` cannot take part; empty where it can."""
        here = f"ipclab {__version__}"
        install = f"{self.executable} -m pip install ipclab=={__version__}"
        if not self.version:
            return f"machine {number} has no ipclab: run there {install}, or add --push"
        if self.version != __version__:
            return (
                f"machine {number} has ipclab {self.version}, and this one {here}: run there {install}, "
                "or add --push"
            )
        if self.missing:
            return (
                f"machine {number} lacks {', '.join(self.missing)}: run there "
                f"{self.executable} -m pip install {' '.join(self.missing)}"
            )
        if self.code != own_code():
            return (
                f"machine {number} has other code of {here} than this one: "
                "install the same there, or add --push"
            )
        return ""


def own_code() -> str:
    """Return the digest of this copy of ipclab."""
    return code_of(Path(__file__).parents[1])


def require_engine() -> None:
    """Raise UsageError where the engine for other machines is not installed."""
    if importlib.util.find_spec("execnet") is None:
        raise UsageError(f"several machines need execnet, which is not installed: {INSTALL}")


class Host:
    """A connection to one machine. ``inbox`` has its messages; ``lost`` says why there will be no more.

    ``facts`` is set by the first message. Not thread-safe; the calling process starts a child for it and
    needs no thread. ``close()`` ends everything that runs on the machine for this connection.
    """

    def __init__(self, number: int, address: Address, module: str, folder: Path, *, wheel: str = "") -> None:
        self.number = number
        self.facts: Facts | None = None
        self.inbox: deque[bytes] = deque()
        self.lost = ""
        self._reader = Reader()
        self._errors = folder / f"machine-{number}.errors"
        settings = Settings(
            command=address.command,
            module=module,
            version=__version__,
            code=own_code(),
            lease_s=LEASE_S,
            wheel=wheel,
        )
        self._socket, theirs = socket.socketpair()
        with theirs, self._errors.open("wb") as errors:
            self._pump = subprocess.Popen(
                [sys.executable, "-P", "-m", "ipclab.hosts.pump", msgspec.json.encode(settings).decode()],
                stdin=theirs.fileno(),
                stdout=errors,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
            )
        self._socket.settimeout(LEASE_S)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with the next message."""
        return self._socket.fileno()

    def tell(self, message: bytes) -> bool:
        """Send a message; return False where the machine is lost."""
        if self.lost:
            return False
        try:
            self._socket.sendall(framed(message))
        except OSError:
            self._lose()
            return False
        return True

    def hear(self) -> None:
        """Take in what has come, without waiting for more."""
        while not self.lost and select.select([self._socket], [], [], 0)[0]:
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except OSError:
                data = b""
            if not data:
                self._lose()
                return
            try:
                for message in self._reader.feed(data):
                    if self.facts is None:
                        self.facts = msgspec.msgpack.decode(message, type=Facts)
                    else:
                        self.inbox.append(message)
            except (ValueError, msgspec.MsgspecError) as error:
                self.lost = f"machine {self.number} sends something else than messages of the lab: {error}"

    def close(self) -> None:
        """End the connection, and with it everything that it started there. A second call does nothing."""
        self._socket.close()
        try:
            self._pump.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._pump.kill()
            self._pump.wait()
        self.lost = self.lost or "closed"

    def _lose(self) -> None:
        said = self._errors.read_text(errors="replace").strip().splitlines()
        why = f": {said[-1]}" if said else ""
        what = "cannot be reached" if self.facts is None else "was lost: its agent or the connection ended"
        self.lost = f"machine {self.number} {what}{why}"


def listen(hosts: Sequence[Host], within_s: float) -> bool:
    """Take in what these machines say; return at the first message, or False after ``within_s``."""
    open_ = [host for host in hosts if not host.lost]
    if not open_:
        time.sleep(min(within_s, 0.05))
        return False
    ready = select.select(open_, [], [], max(within_s, 0.0))[0]
    for host in ready:
        host.hear()
    return bool(ready)
