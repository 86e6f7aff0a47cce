"""What a user's options for payloads mean for the spec of one trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipclab.backends.registry import channel_class
from ipclab.errors import UsageError
from ipclab.payload import codecs
from ipclab.payload.asked import Payload
from ipclab.payload.kinds import PLAIN
from ipclab.payload.sizes import Size, SizeRange, Sizes


def sizes(payload: Payload | None, asked: Size | Sizes | None) -> list[Size]:
    """Return the sizes to measure: those of ``--size``, or those in the payload; empty for neither.

    Raise UsageError for both.
    """
    own = payload.size if payload is not None else None
    if own is not None and asked is not None:
        raise UsageError(f"the payload {payload} has its size already: leave out --size")
    found = own if own is not None else asked
    return list(found) if isinstance(found, Sizes) else [] if found is None else [found]


def settings(
    payload: Payload | None, codec: str | None, size: Size | Sizes | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a spec that follow from the options of a user and from ``given``, the settings of
    the experiment, which the options override.

    Where a payload needs a codec and none was chosen, it gets the usual one.
    """
    found: dict[str, Any] = {}
    if size is not None:
        assert not isinstance(size, Sizes), "a trial has one size: see Request.each_size()"
        ranged = isinstance(size, SizeRange)
        found["size_bytes"] = size.largest_bytes if isinstance(size, SizeRange) else size
        if ranged or "smallest_bytes" in given:
            found["smallest_bytes"] = size.smallest_bytes if isinstance(size, SizeRange) else 0
    text = payload.text if payload is not None else given.get("payload", PLAIN)
    if payload is not None or text != PLAIN:
        found["payload"] = text
    chosen = codec if codec is not None else given.get("codec", "")
    if not chosen and text != PLAIN and not channel_class(given["backend"]).carries_objects:
        chosen = codecs.usual(text)
    if chosen:
        found["codec"] = chosen
    return found
