"""The contract of a backend: adapters implement it, and the rest of the lab relies on it.

A *channel* carries messages from producers to consumers; a *counter* is one shared number that processes
increment; *registers* and *locks* are in ``shared.py``. An adapter only adapts: it reads no clock, keeps no
statistics, logs nothing, and never retries.

Life of a channel within a trial::

    parent    channel = SomeChannel(site, **options); channel.setup()
    worker    producer = channel.producer(index)      consumer = channel.consumer(index)
              producer.send(body) ... flush()         consumer.receive() -> bodies; consumer.ack()
              producer.close()                        consumer.close()
    parent    channel.teardown()

The channel object travels to the workers as an argument of ``multiprocessing.Process``, so it may hold
multiprocessing primitives made in ``setup()``, but never a connection: clients connect in ``producer()``,
``consumer()`` or ``client()``, which are called only inside the worker that uses them. No object of this
module is shared between threads.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, get_args

from ipclab.host.start_methods import Context, StartMethod, context

BrokerKind = str
"""The name of a kind of server: one of ``ipclab.brokers.kinds.names()``, which packages may add to."""
LossCause = Literal[
    "consumer crash", "producer crash", "broker crash", "connection loss", "overload", "expired"
]
"""Why a confirmed message may never arrive. ``overload``: there was no room for it, or its consumer was too
slow. ``expired``: nobody received it within its time to live (see ``Channel.expires_after_s``)."""
OptionValue = str | int
Face = Literal["channel", "counter", "register", "lock", "task"]
"""How a backend is used: a ``channel`` carries messages, a ``task`` queue runs tasks, the other faces are
shared state."""
Pause = Callable[[], None]
"""Called by a held client at the moment at which others can intervene: see ``Counter.held_client``."""
Reach = Literal["process tree", "host", "network"]
LogOffset = Literal["", "consumer", "server"]
LogRetention = Literal["", "unlimited", "size", "age", "size and age"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """The guarantees that a backend declares with its options. Trials are judged against them.

    ``delivery``    at most once: never twice, may be lost for one of ``may_lose``; at least once: a confirmed
                    message arrives, and may arrive again: after a fault, or when a consumer stalls.
    ``may_lose``    the causes that may cost a *confirmed* message. A loss without one of them breaks the
                    guarantee; in particular, without ``overload`` nothing is lost while no process dies.
    ``may_corrupt`` the causes after which a receiver may get damaged bytes: those of a torn message.
    ``order``       ``per-producer``: while nothing is redelivered, a consumer never sees a message of a
                    producer after a later one of that producer. ``none``: any order.
    ``durability``  what survives a restart of the broker: nothing (``none``) or every confirmed message
                    (``disk``: written to disk, not necessarily fsynced; ``quorum``: in a Raft log).
    ``confirm``     what the return of ``send()`` (of ``flush()``, with a window) means for the message:
                    ``buffered`` in this process; ``written`` to the pipe or socket; ``broker``: the server
                    answered for it.
    ``reach``       which processes can take part: one ``process tree``, one ``host``, or the ``network``.
    ``max_message_bytes``  the largest body that is carried, None for no limit below memory.
    ``fan_out``     every consumer gets every message (a queue delivers each message to one consumer).
    ``polling``     a waiting consumer polls, which its latency and CPU time include.
    ``safe``        False for an unsafe discipline, which stands beside a safe one to show what safety costs:
                    while processes race, messages may be lost, repeated or damaged, and none of that breaks
                    a guarantee.
    ``log_offset``  empty for a queue, which forgets a message once it is delivered and acknowledged. Any
                    other value declares a *log*: messages stay after their delivery and can be read again
                    (replay). The value says where the reading position is kept: in the ``consumer``'s
                    process, which starts at a place of its own choice after a crash, or at the ``server``,
                    which continues after the last acknowledged message.
    ``log_retention``  of a log only: how long messages stay. ``unlimited``; or until the log exceeds a
                    ``size`` (then ``may_lose`` names ``overload``) or a message exceeds an ``age`` (then
                    ``may_lose`` names ``expired``): the oldest messages are deleted, read or not.
    """

    delivery: Literal["at-most-once", "at-least-once"]
    may_lose: frozenset[LossCause]
    order: Literal["per-producer", "none"]
    durability: Literal["none", "disk", "quorum"]
    confirm: Literal["buffered", "written", "broker"]
    reach: Literal["process tree", "host", "network"]
    max_message_bytes: int | None = None
    fan_out: bool = False
    polling: bool = False
    may_corrupt: frozenset[LossCause] = frozenset()
    safe: bool = True
    log_offset: LogOffset = ""
    log_retention: LogRetention = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a value that is not among those listed above."""
        for field, allowed in _DECLARATIONS.items():
            _one_of(field, getattr(self, field), allowed)
        for field in ("may_lose", "may_corrupt"):
            causes = getattr(self, field)
            if not isinstance(causes, frozenset | set):
                raise ValueError(f"{field} must be a frozenset of causes, not {causes!r}")
            for cause in causes:
                _one_of(field, cause, get_args(LossCause))
            object.__setattr__(self, field, frozenset(causes))
        largest = self.max_message_bytes
        if largest is not None and (type(largest) is not int or largest < 1):
            raise ValueError(f"max_message_bytes must be None or a whole number above 0, not {largest!r}")
        if bool(self.log_offset) != bool(self.log_retention):
            raise ValueError("a log declares both log_offset and log_retention; any other channel neither")
        for word, cause in _DELETES.items():
            if word in self.log_retention and cause not in self.may_lose:
                raise ValueError(f"log_retention {self.log_retention!r} needs {cause!r} in may_lose")

    @property
    def is_log(self) -> bool:
        """Return whether messages stay after their delivery and can be read again."""
        return bool(self.log_offset)

    def described(self) -> dict[str, str | int | bool | list[str] | None]:
        """Return all fields as values that can be stored."""
        sets = {"may_lose": sorted(self.may_lose), "may_corrupt": sorted(self.may_corrupt)}
        found = {**asdict(self), **sets}
        if self.safe:
            # Safe is what every channel was when results were first stored.
            del found["safe"]
        return found


_DECLARATIONS: Mapping[str, tuple[object, ...]] = {
    "delivery": ("at-most-once", "at-least-once"),
    "order": ("per-producer", "none"),
    "durability": ("none", "disk", "quorum"),
    "confirm": ("buffered", "written", "broker"),
    "reach": get_args(Reach),
    "fan_out": (False, True),
    "polling": (False, True),
    "safe": (False, True),
    "log_offset": get_args(LogOffset),
    "log_retention": get_args(LogRetention),
}
"""The allowed values of those fields of ``Guarantees`` that have a closed set."""
_DELETES: Mapping[str, LossCause] = {"size": "overload", "age": "expired"}
"""The loss cause of each limit that makes a log delete messages."""


def _one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise ValueError unless the value is one of these, with the same type."""
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise ValueError(f"{field} must be one of {', '.join(map(str, allowed))}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a backend: a choice from ``choices``, or a whole number where there are none.

    The choices are all texts or all whole numbers, as in ``qos=0``, ``qos=1``. ``least`` (0 or
    more) is the smallest number that is allowed where there are no choices. Raises ValueError for a name that
    ``--backend`` cannot take, and for a default that is not allowed.
    """

    name: str
    default: OptionValue
    help: str
    choices: tuple[str, ...] | tuple[int, ...] = ()
    least: int = 1

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(f"the name of an option must be an identifier, not {self.name!r}")
        if not isinstance(self.choices, tuple) or not any(
            all(type(choice) is kind for choice in self.choices) for kind in (str, int)
        ):
            raise ValueError(
                f"choices of option {self.name} must be a tuple of strings or of whole numbers, "
                f"not {self.choices!r}"
            )
        if type(self.least) is not int or self.least < 0:
            raise ValueError(
                f"least of the option {self.name} must be a whole number of 0 or more, not {self.least!r}"
            )
        if wrong := self.refusal(self.default):
            raise ValueError(f"default of the option {self.name} must be {wrong}")

    def refusal(self, value: OptionValue) -> str:
        """Return what this value must be and is not, such as ``one of a, b, not 'c'``; empty if allowed."""
        if self.choices:
            allowed = any(type(value) is type(choice) and value == choice for choice in self.choices)
            words = f"one of {', '.join(map(str, self.choices))}"
        else:
            allowed = type(value) is int and value >= self.least
            words = "a whole number above 0" if self.least == 1 else f"a whole number of {self.least} or more"
        return "" if allowed else f"{words}, not {value!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The parameters with which a trial makes a backend.

    ``namespace`` is the prefix of every name that the backend creates on a server (``ipclab:{run}:{trial}``);
    the backend touches no other name. ``url`` is the broker's, None for a backend without one; it may contain
    a password, so it is never shown or stored. ``window`` is how many messages the producer sends between two
    calls of ``flush()``, and the most that ``receive()`` should return at once.
    """

    namespace: str
    producers: int = 1
    consumers: int = 1
    window: int = 1
    start_method: StartMethod = "spawn"
    url: str | None = None

    @property
    def context(self) -> Context:
        """Return the multiprocessing context in which every primitive of this trial is made."""
        return context(self.start_method)

    @property
    def broker_url(self) -> str:
        """Return ``url``, for a backend that needs one. Raise ValueError where there is none."""
        if self.url is None:
            raise ValueError(f"{self.namespace}: this backend needs the URL of a broker")
        return self.url


class Producer(abc.ABC):
    """The sending end of a channel, within one worker. Not thread-safe, not usable after a fork."""

    @abc.abstractmethod
    def send(self, body: bytes) -> None:
        """Accept one message at the declared confirm level; with a window above 1, it may only be buffered.

        Raise the client library's own error where the message was refused or its fate is unknown.
        """

    def sender(self) -> Callable[[bytes], object]:
        """Return what the hot loop calls for each message: ``send``, or a function that does the same.

        An adapter whose ``send`` is one call of the client returns that call here, so that the measurement
        does not pay for a second one. Calls of both may be mixed.
        """
        return self.send

    def flush(self) -> None:  # noqa: B027 - most channels confirm in send()
        """Return once all messages sent so far are accepted at the declared confirm level."""

    def close(self) -> None:  # noqa: B027 - many channels have nothing to close
        """Deliver what is still buffered in this process, then release the connection."""


class Consumer(abc.ABC):
    """The receiving end of a channel, within one worker. Not thread-safe, not usable after a fork.

    ``acknowledges`` says whether ``ack()`` does anything; the worker skips the call where it does not.
    ``rejects`` says whether ``reject()`` does; without it, a job whose handler raises is not done again.
    """

    acknowledges: ClassVar[bool] = False
    rejects: ClassVar[bool] = False

    @abc.abstractmethod
    def receive(self) -> Sequence[bytes]:
        """Block until there is a message; return one or more, in the order of arrival."""

    def receiver(self) -> Callable[[], bytes] | None:
        """Return a function that blocks until there is a message and returns it, or None (see ``receive``).

        An adapter that never batches, and whose ``receive`` is one call of the client, returns that call
        here, so that the measurement pays neither for a second one nor for a sequence of one. Calls of both
        may be mixed, and ``ack()`` holds for both.
        """
        return None

    def ack(self) -> None:  # noqa: B027 - see ``acknowledges``
        """Acknowledge everything that ``receive()`` has returned so far."""

    def reject(self) -> None:  # noqa: B027 - see ``rejects``
        """Leave to the channel what ``receive()`` has returned and ``ack()`` has not acknowledged.

        The channel delivers it again, to this consumer or another, perhaps only after
        ``Channel.redelivers_after_s``. Called instead of ``ack()``, with a window of 1.
        """

    def close(self) -> None:  # noqa: B027 - many channels have nothing to close
        """Release the connection; unacknowledged messages are returned, where the channel can do that."""


class Channel(abc.ABC):
    """The message-passing face of a backend. Subclasses are what the registry lists."""

    name: ClassVar[str]
    summary: ClassVar[str]
    broker: ClassVar[BrokerKind | None] = None
    options: ClassVar[tuple[Option, ...]] = ()
    max_producers: ClassVar[int | None] = None
    max_consumers: ClassVar[int | None] = None
    libraries: ClassVar[tuple[str, ...]] = ()
    """The distributions of the client, such as ``("nats-py",)``: their versions are stored with a result.
    Those of the kind of server ``broker`` and the package of a plug-in are stored without being named."""
    has_server: ClassVar[bool] = False
    """Whether ``setup()`` starts a server process of the backend's own (see ``server_pids``)."""
    windowed: ClassVar[bool] = False
    """Whether a window above 1 changes how messages travel; otherwise only window 1 is measured."""
    carries_objects: ClassVar[Literal["", "at once", "later"]] = ""
    """Whether ``send()`` takes any object that can be pickled, and ``receive()`` returns such objects; empty
    where messages are bytes. ``at once``: the object has been pickled when ``send()`` returns. ``later``: a
    thread pickles it at some time after that, so the sender must not change it any more."""

    replaceable: ClassVar[bool] = True
    """Whether a new process can replace a worker that has ended. It cannot where the ends of the channel
    exist only in the processes that hold them."""
    has_names: ClassVar[bool] = True
    """Whether the server has a name of the channel while it is in use, which clients can list where the kind
    of server allows that. False where the server stores nothing and only knows who is subscribed."""
    impossible_moments: ClassVar[Mapping[str, str]] = {}
    """Moments of a fault that are impossible on this channel, each with the reason in one line, such as
    ``{"mid-message": "a datagram is delivered whole"}``. The matrix leaves them out and shows the reason."""

    def __init__(self, site: Site, **options: OptionValue) -> None:
        self.site = site
        self.chosen: Mapping[str, OptionValue] = {
            o.name: options.get(o.name, o.default) for o in self.options
        }

    @property
    @abc.abstractmethod
    def guarantees(self) -> Guarantees:
        """Return what this channel declares with its options."""

    @abc.abstractmethod
    def setup(self) -> None:
        """Create queues, keys or primitives under ``site.namespace``, in the parent, before any worker."""

    @abc.abstractmethod
    def producer(self, index: int) -> Producer:
        """Connect the producer with this index (0 to ``site.producers`` - 1), in its own worker."""

    @abc.abstractmethod
    def consumer(self, index: int) -> Consumer:
        """Connect the consumer with this index (0 to ``site.consumers`` - 1), in its own worker.

        When this returns, the consumer misses nothing that is sent from then on.
        """

    def keep_end(self, role: Literal["producer", "consumer"] | None) -> None:  # noqa: B027 - most have none
        """Close, in the calling process, the ends that a process of this role does not use.

        A worker calls it before it connects. The parent calls it with None, which closes all ends, when every
        worker has been started, and only for a channel that is not ``replaceable``.
        """

    @abc.abstractmethod
    def teardown(self) -> None:
        """Delete what ``setup()`` and the workers made, and only that. Also called after a failed setup."""

    def lacks(self) -> str:
        """Return in one line what the server at ``site.url`` denies to this user; empty for nothing.

        Called once before a run, outside any trial; changes nothing on the server.
        """
        return ""

    def server_pids(self) -> tuple[int, ...]:
        """Return helper processes that ``setup()`` started; no others. Their cost is the broker's."""
        return ()

    @property
    def settles_after_s(self) -> float:
        """Return the seconds after ``setup()`` before the queue survives a broker kill; 0 for at once."""
        return 0.0

    @property
    def redelivers_after_s(self) -> float:
        """Return the seconds before an unacknowledged message is delivered to another consumer."""
        return 0.0

    @property
    def expires_after_s(self) -> float | None:
        """Return the seconds after which a message that nobody received is dropped, or None for never.

        Only for a channel that declares the loss cause ``expired``, which excuses no loss in less time.
        """
        return None

    @property
    def most_in_flight(self) -> int | None:
        """Return the most unacknowledged messages that a consumer may hold, or None for no limit.

        A backend that does not redeliver may lose this many messages when a consumer dies.
        """
        return self.site.window


class CounterClient(abc.ABC):
    """One worker's access to a shared counter. Not thread-safe, not usable after a fork."""

    @abc.abstractmethod
    def increment(self) -> None:
        """Add one. The return means that the increment is confirmed."""

    @abc.abstractmethod
    def read(self) -> int:
        """Return the value now."""

    def stop_owner(self) -> None:  # noqa: B027 - see ``Counter.has_owner``
        """Make ``Counter.serve()`` return, where the counter has an owner."""

    def close(self) -> None:  # noqa: B027 - many counters have nothing to close
        """Release the connection."""


class SharedState(abc.ABC):
    """The common part of the faces that hold state: something shared, used under a named *discipline*.

    Each discipline is a value of the option ``discipline``, which each of them has.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    broker: ClassVar[BrokerKind | None] = None
    options: ClassVar[tuple[Option, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ()
    """As ``Channel.libraries``."""

    def __init__(self, site: Site, **options: OptionValue) -> None:
        self.site = site
        self.chosen: Mapping[str, OptionValue] = {
            o.name: options.get(o.name, o.default) for o in self.options
        }

    @classmethod
    def disciplines(cls) -> tuple[str, ...]:
        """Return all disciplines, in the order in which they are shown."""
        return tuple(str(c) for o in cls.options if o.name == "discipline" for c in o.choices)

    @property
    def discipline(self) -> str:
        """Return the discipline that was chosen."""
        return str(self.chosen["discipline"])

    @property
    @abc.abstractmethod
    def safe(self) -> bool:
        """Return whether this discipline declares that racing processes can do no harm."""

    @property
    @abc.abstractmethod
    def reach(self) -> Reach:
        """Return which processes can take part."""

    @abc.abstractmethod
    def setup(self) -> None:
        """Create the shared state, under ``site.namespace``."""

    @abc.abstractmethod
    def teardown(self) -> None:
        """Delete what ``setup()`` made, and only that."""

    def lacks(self) -> str:
        """Return in one line what the server at ``site.url`` denies to this user; empty for nothing.

        Called once before a run, outside any trial; changes nothing on the server.
        """
        return ""

    def server_pids(self) -> tuple[int, ...]:
        """Return helper processes that ``setup()`` started; no others. Their cost is the broker's."""
        return ()


class Counter(SharedState):
    """A number that is incremented; ``safe`` says that no confirmed increment is ever lost, and ``setup()``
    creates it with the value 0."""

    has_owner: ClassVar[bool] = False
    """Whether one more process must run ``serve()`` while the counter is used."""

    @abc.abstractmethod
    def client(self, index: int) -> CounterClient:
        """Connect the client with this index (0 to ``site.producers`` - 1), in its own worker."""

    def held_client(self, index: int, pause: Pause) -> CounterClient | None:
        """Return a client like ``client()``'s whose increments call ``pause()`` between reading and writing.

        None means that there is no such moment: the owner of the number does an increment in one step. Raise
        CannotHoldError (``ipclab.errors``) where there is such a moment but the client does not control it,
        as in a method that a server runs in a thread: then no race is forced, and only load can show it. No
        race is forced either on a counter that does not override this.
        """
        raise NotImplementedError(f"{self.name} does not say how its clients are held")

    def serve(self) -> None:
        """Own the value and answer requests until ``stop_owner()``; runs in a process of its own."""
        raise TypeError(f"{self.name} has no owner")
