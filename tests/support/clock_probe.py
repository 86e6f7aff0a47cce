"""Compare the clocks of the machines of a rig, with processes there that use the echo of the package.

Run as a program, it is one end: ``answer TOKEN`` or ``ask TOKEN HOST PORT COUNT DEADLINE_S``.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ipclab.hosts.clock_bound import Echo
from ipclab.hosts.echo import COUNT, Answerer, new_token, take_echoes

if TYPE_CHECKING:
    from tests.support.machines import Machine, Rig

LONGEST_S = 60


@dataclass(frozen=True, slots=True)
class Probe:
    """An echo that runs on a machine."""

    rig: Rig
    machine: Machine
    token: bytes
    port: int

    def ask(self, count: int = COUNT, deadline_s: float = 5) -> list[Echo]:
        """Return echoes of the machine's clock, taken at the desk, whose clock is that of this process."""
        arguments = [
            "ask",
            self.token.hex(),
            self.machine.address,
            str(self.port),
            str(count),
            str(deadline_s),
        ]
        done = subprocess.run(
            self.rig.at_desk(sys.executable, __file__, *arguments),
            stdout=subprocess.PIPE,
            timeout=LONGEST_S,
        )
        return msgspec.json.decode(done.stdout, type=list[Echo])


@contextlib.contextmanager
def probe(rig: Rig, number: int) -> Iterator[Probe]:
    """Yield the running echo of a machine."""
    token, machine = new_token(), rig.machines[number]
    command = machine.python(__file__, "answer", token.hex())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as answerer:
        assert answerer.stdout is not None
        try:
            yield Probe(rig, machine, token, int(answerer.stdout.readline()))
        finally:
            # The end of its input ends it, in whatever namespace it is.
            answerer.communicate()


def _answer(token: bytes) -> None:
    with contextlib.closing(Answerer(token)) as answerer:
        sys.stdout.write(f"{answerer.port}\n")
        sys.stdout.flush()
        # The end of the input is the end.
        while (ready := select.select([0, answerer.fileno()], [], [], LONGEST_S)[0]) and 0 not in ready:
            answerer.answer()


def _ask(token: bytes, host: str, port: int, count: int, deadline_s: float) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(take_echoes((host, port), token, count, deadline_s)))


if __name__ == "__main__":
    _key = bytes.fromhex(sys.argv[2])
    if sys.argv[1] == "answer":
        _answer(_key)
    else:
        _ask(_key, sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
