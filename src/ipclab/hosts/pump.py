"""The process that holds the engine of one machine, and pumps bytes between it and the process of the trial.

``python -m ipclab.hosts.pump SETTINGS``: its standard input is a socket. An engine has threads, and the
process of a trial must have none, so each machine has a pump. It ends when the socket or the connection does.
The first frame on the socket has the facts of the machine; everything after it are bytes of the agent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, NoReturn

import msgspec

from ipclab.hosts import far_end
from ipclab.hosts.frames import framed

_CHUNK_BYTES = 2**17


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the machine, and what to run there. ``wheel`` is the file of a wheel to copy, or empty."""

    command: str
    module: str
    version: str
    code: str
    lease_s: float
    wheel: str = ""


def main() -> NoReturn:
    """Run the pump; end with 0 where the connection ended, with 1 where there was none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ours = socket.socket(fileno=os.dup(0))
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    import execnet

    try:
        channel = _connect(settings)
        ours.sendall(framed(msgspec.msgpack.encode(channel.receive(timeout=_FIRST_S))))
    except Exception as error:  # noqa: BLE001 - whatever an engine raises is the reason
        _leave(1, f"{type(error).__name__}: {error}".splitlines()[0])
    threading.Thread(target=_pump_in, args=(ours, channel), daemon=True).start()
    threading.Thread(target=_beat, args=(channel,), daemon=True).start()
    with contextlib.suppress(OSError, EOFError):
        last = time.monotonic()
        while True:
            try:
                item = channel.receive(timeout=far_end.BEAT_S)
            except channel.TimeoutError:
                if time.monotonic() - last > settings.lease_s:
                    break
                continue
            last = time.monotonic()
            if item:
                ours.sendall(item)
    with contextlib.suppress(Exception):
        execnet.default_group.terminate(timeout=_CLOSING_S)
    _leave(0)


_FIRST_S = 60.0
"""How long a machine may take to log in and to start an interpreter."""


def _connect(settings: Settings) -> Any:
    import execnet

    spec = execnet.XSpec("popen//id=machine")
    spec.python = settings.command
    gateway = execnet.makegateway(spec)
    channel = gateway.remote_exec(far_end)
    wheel = b""
    if settings.wheel:
        with open(settings.wheel, "rb") as file:
            wheel = file.read()
    channel.send(
        {
            "module": settings.module,
            "version": settings.version,
            "code": settings.code,
            "lease_s": settings.lease_s,
            "wheel": wheel,
        }
    )
    return channel


def _pump_in(ours: socket.socket, channel: Any) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := ours.recv(_CHUNK_BYTES):
            channel.send(data)
    # The trial closed its end, or is gone. The far end ends the agent, and then the connection.
    with contextlib.suppress(OSError, EOFError):
        channel.send(False)
    time.sleep(_END_S)
    _leave(0)


_END_S = 6.0
_CLOSING_S = 2.0


def _beat(channel: Any) -> None:
    with contextlib.suppress(OSError, EOFError):
        while True:
            time.sleep(far_end.BEAT_S)
            channel.send(None)


def _leave(code: int, reason: str = "") -> NoReturn:
    """End at once: an engine whose connection hangs must not keep the process."""
    if reason:
        os.write(2, f"{reason}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    main()
