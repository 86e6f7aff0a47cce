"""The specification of one trial. Frozen, comparable, and stored with its record."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ipclab.backends.registry import Variant
from ipclab.faults.spec import FaultSpec
from ipclab.host.start_methods import StartMethod
from ipclab.payload.kinds import PLAIN
from ipclab.payload.sizes import Size, SizeRange
from ipclab.trial.message import HEADER_BYTES
from ipclab.trial.study import Study
from ipclab.trial.task_facts import TaskFault

MOST_BACKLOG_BYTES = 16 * 2**20
"""A server with little memory (memcached has 64 MB by default) must not be made to evict by the lab."""
MOST_CONSUMERS = 255
SHORTEST_S = 0.001
"""A shorter window holds nothing that can be counted."""
LONGEST_S = 3600
"""Limit for warm-up and window together; the histograms end there too."""
MOST_PACED = 10_000_000
"""Messages of a paced trial, whose schedule is computed beforehand."""
MOST_WINDOW = 10_000
MOST_FAILING = 0.5
"""With a larger share of failing handlers, a job that is delivered again and again would hardly end."""
MOST_BYTES = 2**28
"""Limit for one message, and for all messages of one window."""


Arrivals = Annotated[str, msgspec.Meta(pattern=r"^(constant|poisson|burst:[1-9]\d{0,6})$")]
"""The gaps of a paced schedule: all the same, exponentially distributed, or none within each burst of N."""


class Leg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a schedule whose rate varies: so many messages per second for so many seconds."""

    rate_per_s: float
    seconds: float

    def __str__(self) -> str:
        """Return the text of the option: ``100:10s``."""
        return f"{self.rate_per_s:g}:{self.seconds:g}s"


class TrialSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measured run.

    ``workload``       ``stream``: closed loop, as fast as possible; ``paced``: open loop at ``rate_per_s``;
                       ``ping-pong``: one message and its echo; ``counter``: ``producers`` processes increment
                       one number. The others are safety trials: ``crash``: a channel suffers ``fault``;
                       ``order``: which messages overtake which; ``register``, ``lock``: processes race;
                       ``forced``: two processes are made to interleave; ``client``: a client library fails by
                       itself; ``tasks``: a task queue; ``threads``: the same work in threads.
    ``backend``        a channel, or for ``counter`` a counter, with its options.
    ``window``         messages between two flushes, and the most that a consumer takes at once.
    ``rate_per_s``     of all producers together; paced trials only.
    ``arrivals``       the gaps of a paced schedule: ``constant``: all the same; ``poisson``: exponentially
                       distributed; ``burst:N``: N messages are due at once, and the bursts are evenly spaced.
    ``legs``           the rates of the window one after the other, where the rate varies; ``rate_per_s`` is
                       then their mean, and ``duration_s`` their time together. The warm-up has the first.
    ``max_backlog``    how many messages may be in flight at once in a stream, within ``MOST_BACKLOG_BYTES``.
                       Producers wait above it, so that a trial measures transport and not piling up.
    ``warmup_s``, ``duration_s``  before and within the measured window.
    ``drain_s``        how long consumers may go without a message after the producers are done before the
                       rest counts as lost.
    ``grace_s``        how long connecting, draining and ending may each take before the watchdog calls it
                       a hang.
    ``fault``          what a ``crash`` trial suffers.
    ``scenario``       the scenario of a safety workload that has several; in a ``forced`` trial the face of
                       the backend that is raced for.
    ``placement``      for the roles ``producer`` and ``consumer``, the numbers of the machines on which they
                       take turns, from 1; empty where all workers run on this machine.
    ``study``          the study that the trial is a part of; None where it has a row of its own.
    ``broker_settings``  the broker settings for this trial, such as ``appendonly: yes``.
    ``work``           what a consumer does with each message before it acknowledges it, as the canonical text
                       of ``ipclab.trial.work``; empty for nothing.
    ``work_fail_share``  the share of the calls of the consumers' handler that raise.
    ``payload``        what a message is, as the canonical text of ``ipclab.payload.kinds``.
    ``codec``          how the payload becomes bytes; empty where the channel takes it as it is.
    ``smallest_bytes``  above 0, sizes are drawn between this and ``size_bytes``: see ``SizeRange``.
    ``task_fault``     what a ``tasks`` trial suffers; None for a calm one.
    """

    workload: str
    backend: Variant
    producers: int = 1
    consumers: int = 1
    size_bytes: int = 1024
    window: int = 1
    rate_per_s: float | None = None
    arrivals: Arrivals = "poisson"
    legs: list[Leg] = []
    max_backlog: int = 1000
    warmup_s: float = 0.5
    duration_s: float = 3.0
    drain_s: float = 1.0
    grace_s: float = 20.0
    start_method: StartMethod = "fork"
    seed: int = 1
    repeat: int = 0
    fault: FaultSpec | None = None
    scenario: str = ""
    broker_settings: dict[str, str] = {}
    work: str = ""
    work_fail_share: float = 0.0
    payload: str = PLAIN
    codec: str = ""
    smallest_bytes: int = 0
    placement: dict[str, list[int]] = {}
    study: Study | None = None
    task_fault: TaskFault | None = None

    @property
    def backlog(self) -> int:
        """Return the bound on messages in flight, in messages."""
        # A second payload can be encoded while the one before is decoded, however large they are.
        least = 1 if self.is_plain else 2
        return max(least, min(self.max_backlog, MOST_BACKLOG_BYTES // self.size_bytes))

    @property
    def is_plain(self) -> bool:
        """Return whether the messages are bytes of one size without a codec, as in most trials."""
        return self.payload == PLAIN and not self.codec and not self.smallest_bytes

    @property
    def size(self) -> Size:
        """Return the size of the messages, or their range."""
        return SizeRange(self.smallest_bytes, self.size_bytes) if self.smallest_bytes else self.size_bytes

    @property
    def body_bytes(self) -> int:
        """Return the length of the bodies in the loops: those of payloads are headers without a tail."""
        return self.size_bytes if self.is_plain else HEADER_BYTES

    @property
    def pattern(self) -> str:
        """Return the arrivals as text, with the rates where these vary: ``poisson 100:10s,500:5s``."""
        return " ".join([self.arrivals, ",".join(map(str, self.legs))]).rstrip()

    @property
    def shape(self) -> str:
        """Return the shape, such as ``4→1`` for four producers and one consumer."""
        return f"{self.producers}→{self.consumers}"
