"""The lab's side of a borrowed broker: does what the process of a trial asks for (see ``borrowed``)."""

from __future__ import annotations

from ipclab.brokers.base import Broker
from ipclab.trial import borrowed
from ipclab.trial.inside import portable
from ipclab.trial.phases import Answered, Asked


def answer(broker: Broker, asked: Asked) -> Answered:
    """Call the method of the broker that a process asks for, and return its result or its error.

    A process may wait for the answer in a block that no signal can end, to put back what it has changed. So
    a question in whose middle the lab was told to end must be answered again, from the beginning: every
    method may be called a second time.
    """
    assert asked.method in borrowed.METHODS
    value, error = None, None
    try:
        value = getattr(broker, asked.method)(*asked.args, **asked.settings)
    except Exception as raised:  # noqa: BLE001 - the process that asked raises it
        error = portable(raised)
    return Answered(asked.number, value, error, borrowed.facts(broker))
