"""A machine behind a cable that can be cut: ``python cut_cable.py SOCKET`` serves one, and is the machine.

``python cut_cable.py SOCKET reach`` connects its standard streams to the Python there. SIGUSR1 cuts the
cable: both ends stay open, and no byte gets through any more, as behind a router that lost its power.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

GATEWAY = "import sys;exec(eval(sys.stdin.readline()))"
"""What the engine asks an interpreter to run."""
_CUT = threading.Event()


def copy(read: Callable[[int], bytes], write: Callable[[bytes], object], end: Callable[[], object]) -> None:
    """Copy until the end or the cut; after the cut, what comes is dropped and the end is not told."""
    while data := read(65536):
        if not _CUT.is_set():
            write(data)
    if not _CUT.is_set():
        end()


def serve(path: str) -> None:
    """Accept one connection, and lead it to a Python that is a child of this process."""
    signal.signal(signal.SIGUSR1, lambda *_: _CUT.set())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        cable, _ = listener.accept()
    there = subprocess.Popen(
        [sys.executable, "-u", "-c", GATEWAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert there.stdin is not None
    assert there.stdout is not None
    source, sink = there.stdout.fileno(), there.stdin
    out = threading.Thread(
        target=copy,
        args=(lambda n: os.read(source, n), cable.sendall, lambda: cable.shutdown(socket.SHUT_WR)),
    )
    out.daemon = True
    out.start()
    into = threading.Thread(target=copy, args=(cable.recv, sink.write, sink.close), daemon=True)
    into.start()
    there.wait()
    os._exit(0)


def reach(path: str) -> None:
    """Connect the standard streams to the Python at the other end."""
    with socket.socket(socket.AF_UNIX) as cable:
        cable.connect(path)
        threading.Thread(
            target=copy,
            args=(lambda n: os.read(0, n), cable.sendall, lambda: cable.shutdown(socket.SHUT_WR)),
            daemon=True,
        ).start()
        copy(cable.recv, lambda data: os.write(1, data), lambda: None)


if __name__ == "__main__":
    if sys.argv[2:3] == ["reach"]:
        reach(sys.argv[1])
    else:
        serve(sys.argv[1])
