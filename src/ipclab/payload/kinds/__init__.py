"""Every kind of payload, by the name of its family. To add one: write its file, and enter it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ipclab.errors import UnknownNameError, UsageError
from ipclab.payload.kinds.base import Kind, Text

__all__ = ["FAMILIES", "PLAIN", "kind_of", "split"]

PLAIN = "bytes"
FAMILIES: Mapping[str, str] = {
    "bytes": "pseudo-random bytes",
    "dict": "a nested dict, like a job of a web application",
    "json": "the same job as JSON text",
    "dataclass": "the same job as objects of dataclasses",
    "ndarray": "a numpy array: ndarray:float64, ndarray:int32:1MiB",
    "dataframe": "a pandas table",
    "file": "lines of JSON from your own file: file:PATH",
}
"""The kinds, each with a description of a few words."""


def split(text: str) -> Text:
    """Return the family and the argument in this text. Raise UnknownNameError."""
    family, _, argument = text.partition(":")
    if family not in FAMILIES:
        raise UnknownNameError("payload", family, FAMILIES)
    return Text(family, argument)


def kind_of(text: str) -> Kind:
    """Return the kind of payload for its canonical text. Raise UsageError or a subclass.

    The module of the kind is imported only here: a trial of bytes needs none of them.
    """
    asked = split(text)
    if asked.family == "ndarray":
        from ipclab.payload.kinds.arrays import DEFAULT, ArrayKind

        return ArrayKind(asked.argument or DEFAULT)
    if asked.family == "file":
        from ipclab.payload.kinds.files import FileKind

        return FileKind(asked.argument)
    if asked.argument:
        raise UsageError(f"the payload {asked.family} has no variant {asked.argument!r}")
    return _plain_kinds()[asked.family]()


def _plain_kinds() -> dict[str, Callable[[], Kind]]:
    from ipclab.payload.kinds.frames import FrameKind
    from ipclab.payload.kinds.jobs import DataclassKind, DictKind, JsonKind
    from ipclab.payload.kinds.raw import BytesKind

    return {
        "bytes": BytesKind,
        "dict": DictKind,
        "json": JsonKind,
        "dataclass": DataclassKind,
        "dataframe": FrameKind,
    }
