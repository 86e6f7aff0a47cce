"""The messages between the process of a trial and the agent of a machine, as msgspec structs.

::

    trial  Assign(spec, ...)              what the trial is; the agent makes the same assignments by itself
    agent  Assigned()                     it has them
    trial  Employ(names)                  start these workers
    agent  Connected(name)                the worker waits for the starting signal
    trial  Start(start_ns, end_ns, ...)   on this machine's clock; samples its CPU clocks at two moments
    agent  Moved(counts)                  the progress of its logs, every 10 ms where it changed
    trial  Mirror(counts)                 that of the other machines
    agent  Sampled(...)                   one reading of the CPU clocks
    agent  Reported(name, done), Ended(name, failure, ...)
    trial  Instruct(name, stop)           to a producer: send stop messages, or close
    trial  Fetch(have)                    send what the logs have beyond these records
    agent  Shipped(...), then Fetched()
    trial  Echo(...), agent Echoed(...)   clocks: see ``ipclab.hosts.echo``
    trial  Ping(), agent Pong(at_ns)      the clock, roughly, over the same connection
    trial  Look(names), agent Seen(stacks)
    agent  Refused(reason)                the trial is impossible here

All times are of the clock of the machine that is told or that tells.
"""

from __future__ import annotations

import msgspec

from ipclab.hosts.clock_bound import Echo as Answer
from ipclab.trial.orders import Done
from ipclab.trial.spec import TrialSpec


class Assign(msgspec.Struct, frozen=True, tag=True):
    """The trial. ``url`` is the broker's; ``token`` is what echoes must carry."""

    spec: TrialSpec
    namespace: str
    url: str | None
    token: bytes


class Employ(msgspec.Struct, frozen=True, tag=True):
    """Start these workers."""

    names: list[str]


class Start(msgspec.Struct, frozen=True, tag=True):
    """The starting signal for all workers here, and the two moments at which their CPU clocks are read.

    Until the end, the machines of ``ping`` are asked for their clocks, at their addresses by number.
    """

    start_ns: int
    end_ns: int
    sample_ns: tuple[int, int]
    ping: dict[int, tuple[str, int]] = {}


class Instruct(msgspec.Struct, frozen=True, tag=True):
    """To a producer: send this many stop messages; with 0, close and end."""

    name: str
    stop: int = 0


class Mirror(msgspec.Struct, frozen=True, tag=True):
    """The progress of logs of other machines, by the name of the log."""

    counts: dict[str, int]


class Fetch(msgspec.Struct, frozen=True, tag=True):
    """Send the records of the logs here from these on; 0 where a log is not named."""

    have: dict[str, int]


class Echo(msgspec.Struct, frozen=True, tag=True):
    """Take ``count`` echoes of the clock at each of these addresses, by the number of the machine."""

    of: dict[int, tuple[str, int]]
    count: int


class Look(msgspec.Struct, frozen=True, tag=True):
    """End these workers, and send the stack that each wrote before."""

    names: list[str]


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Tell what your clock shows."""


class Survey(msgspec.Struct, frozen=True, tag=True):
    """Without a trial: answer echoes that carry the token, and try to reach these servers, by name."""

    token: bytes
    servers: dict[str, tuple[str, int]]


ToAgent = Survey | Assign | Employ | Start | Instruct | Mirror | Fetch | Echo | Look | Ping


class Assigned(msgspec.Struct, frozen=True, tag=True):
    """The agent knows the trial. Its echo answers at this address."""

    host: str
    port: int


class Surveyed(msgspec.Struct, frozen=True, tag=True):
    """The echo answers at this address. ``refused`` says of each server that cannot be reached why not."""

    host: str
    port: int
    refused: dict[str, str]


class Connected(msgspec.Struct, frozen=True, tag=True):
    """The worker waits for the starting signal."""

    name: str


class Reported(msgspec.Struct, frozen=True, tag=True):
    """The worker has played its role, or answers a stop message."""

    name: str
    done: Done


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The worker's process is gone, or it gave up. ``reason`` is the failure without its name."""

    name: str
    failure: str = ""
    detail: str = ""
    reason: str = ""
    crashed: bool = False
    ended: bool = True


class Moved(msgspec.Struct, frozen=True, tag=True):
    """The progress of the logs of this machine that have changed, by the name of the log."""

    counts: dict[str, int]


class Sampled(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """One reading of the CPU clocks of the workers here, of the machine, and of the agent."""

    at_ns: int
    late_ns: int
    cpu_s: dict[str, float | None]
    queued_s: dict[str, float | None]
    machine_cpu_s: float | None
    own_cpu_s: float


class Shipped(msgspec.Struct, frozen=True, tag=True):
    """Records of a log from ``first`` on."""

    log: str
    first: int
    records: bytes


class Fetched(msgspec.Struct, frozen=True, tag=True):
    """All records were sent.

    ``mirror_age_ns`` is the longest time between two messages with the progress of others in the trial;
    ``told_age_ns`` that between two with the progress of this machine.
    """

    mirror_age_ns: int = 0
    told_age_ns: int = 0


class Echoed(msgspec.Struct, frozen=True, tag=True):
    """The echoes, by the number of the machine that answered; ``pings`` are those since the start."""

    answers: dict[int, list[Answer]]
    pings: dict[int, list[Answer]] = {}


class Pong(msgspec.Struct, frozen=True, tag=True):
    """The clock of this machine shows this."""

    at_ns: int


class Seen(msgspec.Struct, frozen=True, tag=True):
    """The stack of each worker that was looked at."""

    stacks: dict[str, str]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The trial is impossible here, or the agent itself failed."""

    reason: str
    detail: str = ""


FromAgent = (
    Assigned
    | Surveyed
    | Connected
    | Reported
    | Ended
    | Moved
    | Sampled
    | Shipped
    | Fetched
    | Echoed
    | Pong
    | Seen
    | Refused
)
encode = msgspec.msgpack.Encoder().encode
decode_to_agent = msgspec.msgpack.Decoder(ToAgent).decode
decode_from_agent = msgspec.msgpack.Decoder(FromAgent).decode
