"""The definition of a kind of payload: how its contents are made, stamped, and recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ipclab.payload.sizes import Size

STAMP_BYTES = 20
"""The length of a stamp: a header of 16 bytes by which the ledger knows the message, and the CRC-32 of its
content."""
Stamp = bytes


class Content(Protocol):
    """One content, which a producer sends again and again, each time with another stamp."""

    checksum: bytes
    """The CRC-32 of the content, 4 bytes, little endian."""

    def sealed(self, stamp: Stamp) -> Any:
        """Return a message with this content and this stamp. Nothing changes it after it is returned."""

    def sealed_in_place(self, stamp: Stamp) -> Any:
        """Return the same as ``sealed()``, in an object that the next call may change."""

    def is_in(self, message: Any) -> bool:
        """Return whether the message has exactly this content. Called after ``Kind.stamp_of``."""


class Kind(Protocol):
    """A kind of payload. ``name`` is its canonical text, such as ``ndarray:float64``."""

    name: str
    smallest_bytes: int
    """The smallest size of a message of this kind."""
    largest_bytes: int | None
    """The largest size that makes sense, None for no limit of the kind's own."""

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        """Return ``count`` contents of such sizes; the same ones for the same seed, in every process."""

    def stamp_of(self, message: Any) -> Stamp:
        """Return the stamp of a message that was received, which it may remove from the message.

        Raise any exception where it has none.
        """


@dataclass(frozen=True, slots=True)
class Text:
    """A payload as text, such as ``ndarray:float64``: the name of a family and an argument."""

    family: str
    argument: str

    def __str__(self) -> str:
        return f"{self.family}:{self.argument}" if self.argument else self.family
