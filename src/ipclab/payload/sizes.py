"""Sizes of messages as users write them: one value, a range, or several of these."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ipclab.errors import UsageError

UNITS = {
    "": 1,
    "B": 1,
    "K": 1000,
    "KB": 1000,
    "KIB": 1024,
    "M": 1000**2,
    "MB": 1000**2,
    "MIB": 1024**2,
    "G": 1000**3,
    "GB": 1000**3,
    "GIB": 1024**3,
}
"""Bytes in a unit, by its name in capital letters. ``k`` is decimal, ``KiB`` is binary."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_EXAMPLES = "write 64, 1KiB, 20k, a range 2KiB-20KiB, or a list 64,1KiB"


@dataclass(frozen=True, slots=True, order=True)
class SizeRange:
    """Sizes from ``smallest_bytes`` to ``largest_bytes``, both included, distributed log-uniformly: a message
    is as likely to be between 2 and 4 KiB as between 4 and 8 KiB."""

    smallest_bytes: int
    largest_bytes: int

    def __str__(self) -> str:
        return f"{self.smallest_bytes}-{self.largest_bytes}"


Size = int | SizeRange


@dataclass(frozen=True, slots=True)
class Sizes:
    """Several sizes, each of which is measured by itself: a sweep."""

    each: tuple[Size, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.each))

    def __iter__(self) -> Iterator[Size]:
        return iter(self.each)


def parse(text: str) -> Size | Sizes:
    """Return the sizes in this text. Raise UsageError where it has none, or an impossible one."""
    found = tuple(dict.fromkeys(_one(part.strip(), text) for part in text.split(",")))
    return found[0] if len(found) == 1 else Sizes(found)


def draw(size: Size, count: int, seed: str) -> list[int]:
    """Return ``count`` sizes in random order, spread evenly over the logarithm of the range."""
    if isinstance(size, int):
        return [size] * count
    chance = random.Random(seed)
    low, high = math.log(size.smallest_bytes), math.log(size.largest_bytes)
    found = [round(math.exp(low + (high - low) * (i + chance.random()) / count)) for i in range(count)]
    chance.shuffle(found)
    return found


def _one(part: str, text: str) -> Size:
    low, dash, high = part.partition("-")
    if not dash:
        return _bytes(part, text)
    smallest, largest = _bytes(low.strip(), text), _bytes(high.strip(), text)
    if smallest > largest:
        raise UsageError(f"{part!r} is not a range of sizes: the smaller size comes first")
    return smallest if smallest == largest else SizeRange(smallest, largest)


def _bytes(part: str, text: str) -> int:
    match = _SIZE.fullmatch(part)
    if match is None or match[2].upper() not in UNITS:
        raise UsageError(f"{text!r} is not a size; {_EXAMPLES}")
    size = int(float(match[1]) * UNITS[match[2].upper()])
    if size < 1:
        raise UsageError(f"{text!r} is not a size above 0")
    return size
