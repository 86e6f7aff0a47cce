"""Echoes during a trial, which show whether the clocks drift as the line between before and after says."""

from __future__ import annotations

from collections.abc import Mapping

from ipclab.host.clock import now_ns
from ipclab.hosts.clock_bound import Echo
from ipclab.hosts.echo import Address, Asker

MOMENTS = 5
"""How often each machine is asked, at equal distances between the start and the end."""


class Pings:
    """Asks other machines for their clocks between two moments of the own clock. Never waits.

    ``step()`` comes when one of ``askers`` is readable, and else every few milliseconds. The answers are in
    ``found``. A late answer only widens what its echo allows.
    """

    def __init__(self, of: Mapping[int, Address], token: bytes, start_ns: int, end_ns: int) -> None:
        gap_ns = (end_ns - start_ns) // (MOMENTS + 1)
        self._moments_ns = [start_ns + gap_ns * (number + 1) for number in range(MOMENTS)] if of else []
        self._askers: dict[int, Asker] = {}
        self.found: dict[int, list[Echo]] = {number: [] for number in of}
        try:
            for number, address in of.items():
                self._askers[number] = Asker(address, token)
        except OSError:
            self.close()
            raise

    @property
    def askers(self) -> list[Asker]:
        """Return what is readable when an answer waits."""
        return list(self._askers.values())

    def step(self) -> None:
        """Take in the answers that wait, and ask where a moment has come."""
        for number, asker in self._askers.items():
            self.found[number] += asker.collect()
        if self._moments_ns and now_ns() >= self._moments_ns[0]:
            del self._moments_ns[0]
            for asker in self._askers.values():
                asker.ask()

    def close(self) -> None:
        """Close the sockets; what was found stays."""
        for asker in self._askers.values():
            asker.close()
        self._askers = {}
