"""The gate of a logged consumer: the lab can hold what the consumer has received and not yet acknowledged.

The lab sends an order before the message that the order is about, so the consumer finds the order when it has
that message. The consumer then waits for the next order in a read of its pipe: nobody sleeps for a guessed
time.
"""

from __future__ import annotations

from ipclab.host.link import Link
from ipclab.trial.orders import Hold, Withhold


class Gate:
    """The consumer's side. Not thread-safe."""

    def __init__(self, lab: Link) -> None:
        self._lab = lab
        self._withholds = False

    def lets_through(self) -> bool:
        """Read the lab's orders after a receipt. Return whether the consumer may acknowledge now.

        Block while the lab holds the consumer. Raise EOFError where the lab is gone.
        """
        while self._lab.poll():
            self._take(self._lab.recv())
        return not self._withholds

    def _take(self, order: object) -> None:
        if isinstance(order, Hold):
            while isinstance(order, Hold):
                order = self._lab.recv()
        self._withholds = isinstance(order, Withhold)
