"""The ends of a channel for the workers of measured trials: plain ones, or ones that carry payloads.

A worker's loop sends and receives bodies that begin with a header. For plain bytes it gets the end of the
backend itself. For any other payload it gets an end that puts the header into a payload, encodes that, and
sends it. At the other end the payload is decoded and compared with what was sent, and the loop gets the
header again. So payloads need no loops of their own, and encoding and decoding lie within the measured time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from ipclab.backends import checked
from ipclab.backends.base import Channel, Consumer, Producer
from ipclab.host import segments
from ipclab.payload import codecs
from ipclab.payload.clocked import Serialised
from ipclab.payload.codecs import Codec
from ipclab.payload.seal import DAMAGED, Opener, sealer
from ipclab.trial.assignment import Assignment
from ipclab.trial.message import STOP, is_stop
from ipclab.trial.spec import TrialSpec

_STOP_BEGINS = STOP[:4]


def producer(mine: Assignment[Any], channel: Channel, index: int = -1) -> Producer:
    """Connect this worker to the channel as its producer ``index``, by default that of the worker."""
    index = mine.index if index < 0 else index
    inner = checked.producer(channel, index)
    if mine.spec.is_plain:
        return inner
    serialised = _serialised(mine.spec, channel)
    spec = mine.spec
    # What the channel reads only later must not change until then.
    in_place = bool(spec.codec) or channel.carries_objects == "at once"
    seal = sealer(spec.payload, spec.size, mine.content, index, in_place=in_place)
    if spec.codec:
        return _PayloadProducer(inner, seal, serialised.encoding(_codec(mine).encode), serialised)
    return _PayloadProducer(inner, seal, None, serialised)


def consumer(mine: Assignment[Any], channel: Channel, index: int = -1) -> Consumer:
    """Connect this worker to the channel as its consumer ``index``, by default that of the worker."""
    spec, index = mine.spec, mine.index if index < 0 else index
    objects = not spec.is_plain and bool(channel.carries_objects)
    inner = checked.consumer(channel, index, objects=objects)
    if spec.is_plain:
        return inner
    serialised = _serialised(spec, channel)
    opener = Opener(spec.payload, spec.size, mine.content, spec.producers)
    codec = _codec(mine) if spec.codec else None
    return _PayloadConsumer(inner, opener, codec, serialised)


def spent(*ends: Producer | Consumer) -> dict[str, int]:
    """Return the CPU time in ns that these ends have spent encoding and decoding, as fields of ``Done``."""
    total: dict[str, int] = {}
    for end in ends:
        if isinstance(end, _PayloadProducer | _PayloadConsumer):
            for name, spent_ns in end.serialised.spent().items():
                total[name] = total.get(name, 0) + spent_ns
    return total


def _serialised(spec: TrialSpec, channel: Channel) -> Serialised:
    found = Serialised(spec.size_bytes)
    if channel.carries_objects:
        found.watch_multiprocessing()
    return found


def _codec(mine: Assignment[Any]) -> Codec:
    # A trial has one worker of each name, and its segments are gone when the next one begins.
    owner = f"{segments.prefix()}{mine.name}" if mine.spec.codec == "shm" else mine.name
    return codecs.make(mine.spec.codec, mine.spec.payload, owner)


class _PayloadProducer(Producer):
    def __init__(
        self,
        inner: Producer,
        seal: Callable[[bytes], Any],
        encode: Callable[[Any], bytes] | None,
        serialised: Serialised,
    ) -> None:
        self._inner = inner
        self._seal, self._encode = seal, encode
        self.serialised = serialised
        self.flush = inner.flush  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]

    def send(self, body: bytes) -> None:
        # The stop message travels as it is.
        if body == STOP:
            self._inner.send(body)
        else:
            self.sender()(body)

    def sender(self) -> Callable[[bytes], object]:
        # A channel that carries objects accepts any, whatever the type of its function says.
        send, seal, encode = cast("Callable[[Any], object]", self._inner.sender()), self._seal, self._encode
        if encode is None:
            return lambda header: send(seal(header))
        encoded = encode
        return lambda header: send(encoded(seal(header)))


class _PayloadConsumer(Consumer):
    def __init__(self, inner: Consumer, opener: Opener, codec: Codec | None, serialised: Serialised) -> None:
        self._inner = inner
        self._header_of = serialised.checking(opener.header_of)
        self._decode = serialised.decoding(codec.decode) if codec else None
        self._release = codec.release if codec else None
        self._last: tuple[Any, Any] = (None, None)
        self.serialised = serialised
        self.acknowledges = inner.acknowledges  # type: ignore[misc]
        self.ack = inner.ack  # type: ignore[method-assign]
        self.rejects = inner.rejects  # type: ignore[misc]
        self.reject = inner.reject  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]

    def receive(self) -> Sequence[bytes]:
        return [self._open(raw) for raw in self._inner.receive()]

    def receiver(self) -> Callable[[], bytes] | None:
        receive_one, open_one = self._inner.receiver(), self._open
        if receive_one is None:
            return None
        take = receive_one
        return lambda: open_one(take())

    def _open(self, raw: Any) -> bytes:
        """Return the header in what was received, the stop message, or ``DAMAGED``."""
        if raw.__class__ is bytes and raw[:4] == _STOP_BEGINS and is_stop(raw):
            return STOP
        message = None
        try:
            message = raw if self._decode is None else self._decode(raw)
            header = self._header_of(message)
        except Exception:  # noqa: BLE001 - a decoder raises anything for bytes that have changed
            header = DAMAGED
        if self._release is not None:
            # No view of the segment may be left.
            message = None
            self._release()
        # As in the loop of a program, a message lives until the next one has come. Large ones then take turns
        # in the same memory, where the system would otherwise provide new pages for each.
        self._last = (raw, message)
        return header
