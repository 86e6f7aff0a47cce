"""The codecs: how a payload becomes the bytes that a channel carries, and an object again.

A codec is made in the worker that uses it. Not thread-safe.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ipclab.errors import UnknownNameError, UsageError
from ipclab.payload.kinds import split

CODECS: Mapping[str, str] = {
    "pickle": "pickle.dumps with its default protocol",
    "pickle5": "protocol 5; the buffers of arrays lie beside the pickle and are not copied into it",
    "json": "json.dumps, as UTF-8",
    "msgpack": "MessagePack, by msgspec",
    "shm": "the array lies in multiprocessing.shared_memory, and its name is sent",
}
"""The codecs, each with a description of a few words."""
_CARRIES: Mapping[str, tuple[str, ...]] = {
    "json": ("dict", "json", "file"),
    "msgpack": ("bytes", "dict", "json", "dataclass", "file"),
    "shm": ("ndarray",),
}
"""The families of payloads that a codec carries; a codec without an entry carries all."""
_COUNT = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Codec:
    """``release`` is called when the object of the last ``decode()`` is no longer used; None for nothing to
    do. ``copied_bytes()`` is what it has copied into memory that Python does not manage."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    release: Callable[[], None] | None = None
    copied_bytes: Callable[[], int] = lambda: 0


def require(codec: str, payload: str) -> None:
    """Raise UsageError or a subclass where there is no such codec, or it does not carry this payload."""
    if codec not in CODECS:
        raise UnknownNameError("codec", codec, CODECS)
    family = split(payload).family
    able = _CARRIES.get(codec)
    if able is not None and family not in able:
        raise UsageError(
            f"the codec {codec} does not carry the payload {payload}: it carries {', '.join(able)}"
        )


def usual(payload: str) -> str:
    """Return the codec for a channel of bytes where none was asked for: JSON text is sent as UTF-8, and
    anything else is pickled."""
    return "json" if split(payload).family == "json" else "pickle"


def largest_body_bytes(codec: str, size_bytes: int) -> int:
    """Return a bound on the length of the encoded message: names of segments are short, and a pickle adds
    a few hundred bytes to an array."""
    return 256 if codec == "shm" else size_bytes + 512


def make(codec: str, payload: str, owner: str) -> Codec:
    """Return the codec for this payload. ``owner`` is a name that no other worker has, for segments."""
    require(codec, payload)
    family = split(payload).family
    if codec == "pickle":
        return Codec(pickle.dumps, pickle.loads)
    if codec == "pickle5":
        return Codec(_pickle5_encode, _pickle5_decode)
    if codec == "shm":
        from ipclab.payload.segments import SegmentCodec

        shared = SegmentCodec(owner)
        return Codec(shared.encode, shared.decode, shared.release, lambda: shared.copied_bytes)
    if codec == "json":
        if family == "json":
            return Codec(str.encode, bytes.decode)
        return Codec(_json_encode, json.loads)
    if family == "dataclass":
        from ipclab.payload.kinds.jobs import Job

        return Codec(msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Job).decode)
    return Codec(msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode)


def _json_encode(message: Any) -> bytes:
    return json.dumps(message).encode()


def _pickle5_encode(message: Any) -> bytes:
    """Return the lengths of pickle and buffers, then the pickle, then the buffers: each is copied once."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, 5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    lengths = [len(head), *(view.nbytes for view in views)]
    return b"".join((_COUNT.pack(len(lengths)), struct.pack(f"<{len(lengths)}Q", *lengths), head, *views))


def _pickle5_decode(body: bytes) -> Any:
    """Return the object, whose buffers are views of ``body``: nothing is copied."""
    whole = memoryview(body)
    (count,) = _COUNT.unpack_from(whole)
    lengths = struct.unpack_from(f"<{count}Q", whole, _COUNT.size)
    at, parts = _COUNT.size + 8 * count, []
    for length in lengths:
        parts.append(whole[at : at + length])
        at += length
    return pickle.loads(parts[0], buffers=parts[1:])
