"""``dict``, ``json`` and ``dataclass``: one job of a web application, in three forms.

The size of a job is the length of its JSON text. A job is compared by its ``marshal`` form, which tells 1
from 1.0 and from True, and costs less than a comparison in Python.
"""

from __future__ import annotations

import json
import marshal
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ipclab.payload.kinds.base import STAMP_BYTES, Content, Stamp
from ipclab.payload.sizes import Size, draw

_MARSHAL_VERSION = 2
"""The last version whose output depends on nothing but the value: later ones write references."""
_NO_STAMP = "0" * (2 * STAMP_BYTES)
_WORDS = ("invoice", "export", "résumé", "thumbnail", "Zürich", "retry", "warehouse", "customer", "late")
_PREFIX = '{"stamp": "'
SMALLEST_BYTES = 420
"""A job without an item and without a note, with some room for longer words."""
LARGEST_BYTES = 16 * 2**20


def plain(value: Any) -> bytes:
    """Return the bytes by which a value is compared: equal for equal values of equal types only."""
    return marshal.dumps(value, _MARSHAL_VERSION)


def crc(data: bytes) -> bytes:
    """Return the CRC-32 of these bytes, 4 bytes, little endian."""
    return zlib.crc32(data).to_bytes(4, "little")


def job(seed: str, size_bytes: int) -> dict[str, Any]:
    """Return a job whose JSON text has this size, with an empty stamp as its first field."""
    chance = random.Random(seed)
    made: dict[str, Any] = {
        "stamp": _NO_STAMP,
        "id": chance.getrandbits(53),
        "kind": "order.created",
        "attempt": 1,
        "urgent": False,
        "parent": None,
        "price": chance.randrange(100_000) / 100,
        "customer": {
            "name": " ".join(chance.sample(_WORDS, 2)),
            "address": {"street": chance.choice(_WORDS), "zip": chance.randrange(10_000)},
            "tags": chance.sample(_WORDS, 3),
        },
        "items": [],
        "note": "",
    }
    left_bytes = size_bytes - len(json.dumps(made))
    while left_bytes > 0:
        item = {
            "sku": f"{chance.getrandbits(40):010x}",
            "count": chance.randrange(1, 9),
            "price": chance.randrange(100_000) / 100,
        }
        needs_bytes = len(json.dumps(item)) + (2 if made["items"] else 0)
        # What is left over goes into the note.
        if needs_bytes > left_bytes:
            break
        made["items"].append(item)
        left_bytes -= needs_bytes
    made["note"] = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz ", k=max(left_bytes, 0)))
    return made


class _DictContent:
    def __init__(self, made: dict[str, Any]) -> None:
        self._made = made
        self._plain = plain({key: value for key, value in made.items() if key != "stamp"})
        self.checksum = crc(self._plain)

    def sealed(self, stamp: Stamp) -> dict[str, Any]:
        return {**self._made, "stamp": stamp.hex()}

    sealed_in_place = sealed

    def is_in(self, message: Any) -> bool:
        return plain(message) == self._plain


class DictKind:
    """A nested dict of numbers, texts, lists, booleans and None."""

    name = "dict"
    smallest_bytes = SMALLEST_BYTES
    largest_bytes: int | None = LARGEST_BYTES

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        return _jobs(_DictContent, size, count, seed)

    def stamp_of(self, message: Any) -> Stamp:
        return bytes.fromhex(message.pop("stamp"))


class _TextContent:
    def __init__(self, made: dict[str, Any]) -> None:
        self._rest = json.dumps(made)[len(_PREFIX) + len(_NO_STAMP) :]
        self._length = len(_PREFIX) + len(_NO_STAMP) + len(self._rest)
        self.checksum = crc(self._rest.encode())

    def sealed(self, stamp: Stamp) -> str:
        return f"{_PREFIX}{stamp.hex()}{self._rest}"

    sealed_in_place = sealed

    def is_in(self, message: Any) -> bool:
        return (
            type(message) is str
            and len(message) == self._length
            and message.startswith(_PREFIX)
            and message.endswith(self._rest)
        )


class JsonKind:
    """The same job as one JSON text (a ``str``), which nobody parses on the way."""

    name = "json"
    smallest_bytes = SMALLEST_BYTES
    largest_bytes: int | None = LARGEST_BYTES

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        return _jobs(_TextContent, size, count, seed)

    def stamp_of(self, message: Any) -> Stamp:
        return bytes.fromhex(message[len(_PREFIX) : len(_PREFIX) + len(_NO_STAMP)])


@dataclass(slots=True)
class Address:
    """Where the customer of a job lives."""

    street: str
    zip: int


@dataclass(slots=True)
class Customer:
    """The customer of a job."""

    name: str
    address: Address
    tags: list[str]


@dataclass(slots=True)
class Item:
    """One item of a job."""

    sku: str
    count: int
    price: float


@dataclass(slots=True)
class Job:
    """The job as an object of a class; ``stamp`` is the lab's."""

    stamp: str
    id: int
    kind: str
    attempt: int
    urgent: bool
    parent: None
    price: float
    customer: Customer
    items: list[Item]
    note: str

    @classmethod
    def of(cls, made: dict[str, Any]) -> Job:
        """Return the object with the fields of this dict."""
        customer = made["customer"]
        return cls(
            **{
                **made,
                "customer": Customer(customer["name"], Address(**customer["address"]), customer["tags"]),
                "items": [Item(**item) for item in made["items"]],
            }
        )


def _values(made: Job) -> tuple[object, ...]:
    """Return all values of a job but its stamp. Raise AttributeError where an object has lost its class."""
    customer = made.customer
    return (
        *(made.id, made.kind, made.attempt, made.urgent, made.parent, made.price, made.note),
        *(customer.name, customer.address.street, customer.address.zip, customer.tags),
        [(item.sku, item.count, item.price) for item in made.items],
    )


class _ObjectContent:
    def __init__(self, made: dict[str, Any]) -> None:
        self._made = Job.of(made)
        self._plain = plain(_values(self._made))
        self.checksum = crc(self._plain)

    def sealed(self, stamp: Stamp) -> Job:
        made = self._made
        return Job(
            stamp.hex(),
            *(made.id, made.kind, made.attempt, made.urgent, made.parent, made.price),
            *(made.customer, made.items, made.note),
        )

    sealed_in_place = sealed

    def is_in(self, message: Any) -> bool:
        return type(message) is Job and plain(_values(message)) == self._plain


class DataclassKind:
    """The same job as objects of four dataclasses with slots."""

    name = "dataclass"
    smallest_bytes = SMALLEST_BYTES
    largest_bytes: int | None = LARGEST_BYTES

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        return _jobs(_ObjectContent, size, count, seed)

    def stamp_of(self, message: Any) -> Stamp:
        return bytes.fromhex(message.stamp)


def _jobs(make: Callable[[dict[str, Any]], Content], size: Size, count: int, seed: str) -> list[Content]:
    sizes = draw(size, count, seed)
    return [make(job(f"{seed}/{i}", size_bytes)) for i, size_bytes in enumerate(sizes)]
