"""The program that submits tasks: it reads orders from its input, and logs each submission before and after.

It is a process of its own, so that a submission that hangs harms nothing else. The executors of a pool are
its children.
"""

from __future__ import annotations

import base64
import os
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ipclab.backends.base import OptionValue, Producer, Site
from ipclab.backends.registry import Variant, task_class
from ipclab.exit_codes import ChildExit
from ipclab.host.clock import now_ns
from ipclab.trial.tasks.files import SUBMISSIONS_NAME

READY = "ready"


class Order(msgspec.Struct, frozen=True):
    """Submit these tasks: as fast as possible, or at a constant rate above 0. No tasks: close and end."""

    bodies: list[str]
    rate_per_s: float = 0.0


def packed(name: str, options: dict[str, OptionValue], site: Site) -> bytes:
    """Return the first line of the program's input: the task queue to use."""
    return base64.b64encode(pickle.dumps((name, options, site))) + b"\n"


def main() -> None:
    """Connect, write ``ready`` into the log, and carry out orders until the input ends."""
    lines = _lines()
    name, options, site = pickle.loads(base64.b64decode(next(lines)))
    path = Path(sys.argv[1]) / SUBMISSIONS_NAME
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    queue = task_class(Variant(name, options))(site, **options)
    producer = queue.submitter(0)
    os.write(log, f"{READY}\n".encode())
    for line in lines:
        order = msgspec.json.decode(line, type=Order)
        if not order.bodies:
            producer.close()
            break
        _submit(producer, order, log)
    # Neither threads nor pools of a framework keep this process.
    os._exit(ChildExit.DONE)


def _lines() -> Iterator[bytes]:
    """Yield the lines of the input, without the buffer of ``sys.stdin``.

    A process that a pool forks meanwhile closes ``sys.stdin``, and would wait for the lock of that buffer
    for ever.
    """
    rest = b""
    while data := os.read(0, 65536):
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def _submit(producer: Producer, order: Order, log: int) -> None:
    start_ns = now_ns()
    for number, body in enumerate(order.bodies):
        due_ns = 0
        if order.rate_per_s:
            due_ns = start_ns + int(number * 1e9 / order.rate_per_s)
            time.sleep(max(0.0, (due_ns - now_ns()) / 1e9))
        began_ns = now_ns()
        os.write(log, f"begin {body} {due_ns or began_ns} {began_ns}\n".encode())
        try:
            producer.send(body.encode())
            outcome = f"confirmed {body} -"
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is the result of this task
            outcome = f"refused {body} {type(error).__name__}"
        os.write(log, f"{outcome} {now_ns()}\n".encode())


if __name__ == "__main__":
    main()
