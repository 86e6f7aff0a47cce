"""The payload that a user asks for, as text: ``dict``, ``ndarray:float64:1MiB``, ``file:jobs.jsonl``."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ipclab.errors import UsageError
from ipclab.payload import sizes
from ipclab.payload.kinds import kind_of, split
from ipclab.payload.sizes import Size, Sizes


@dataclass(frozen=True, slots=True)
class Payload:
    """``text`` is the canonical text of the kind; ``size`` the size in the text, or that of the lines of a
    file; None where the text has none."""

    text: str
    size: Size | Sizes | None = None

    def __str__(self) -> str:
        of_file = split(self.text).family == "file"
        return self.text if self.size is None or of_file else f"{self.text}:{self.size}"


def parse(text: str) -> Payload:
    """Return the payload in this text. Raise UsageError or a subclass where there is no such payload."""
    asked = split(text)
    if asked.family == "file":
        from ipclab.payload.kinds.files import FileKind

        kind = FileKind(os.path.abspath(asked.argument) if asked.argument else "")
        return Payload(kind.name, kind.size)
    parts = text.split(":")
    try:
        size = sizes.parse(parts[-1]) if len(parts) > 1 else None
    except UsageError:
        size = None
    return Payload(kind_of(":".join(parts[:-1]) if size is not None else text).name, size)
