"""Whether a trial's payload, codec and sizes fit its channel."""

from __future__ import annotations

from ipclab.backends.base import Channel
from ipclab.errors import MessageTooLargeError, UsageError
from ipclab.host import segments
from ipclab.payload import codecs
from ipclab.payload.kinds import PLAIN, kind_of
from ipclab.payload.sizes import SizeRange
from ipclab.trial.spec import TrialSpec


def refuse_unfit(spec: TrialSpec, channel: type[Channel], *, fan_out: bool) -> None:
    """Refuse a payload that this channel cannot carry.

    Raise UsageError or a subclass, MessageTooLargeError.
    """
    if spec.is_plain:
        return
    kind = kind_of(spec.payload)
    if kind.name != spec.payload:
        raise UsageError(f"the payload {spec.payload} is written {kind.name}")
    if spec.codec:
        codecs.require(spec.codec, spec.payload)
    elif spec.payload != PLAIN and not channel.carries_objects:
        raise UsageError(
            f"{channel.name} carries bytes, so the payload {spec.payload} needs a codec: "
            f"{', '.join(codecs.CODECS)}"
        )
    _check_sizes(spec, kind.smallest_bytes, kind.largest_bytes)
    if spec.codec == "shm":
        segments.require()
        if spec.work_fail_share:
            raise UsageError(
                "the codec shm unlinks an array when it is received, so a job that failed cannot be done "
                "again: leave out --work-fail, or use another codec"
            )
        if fan_out and spec.consumers > 1:
            raise UsageError(
                f"{channel.name} delivers each message to every consumer, and the codec shm is for one "
                "receiver, which unlinks the segment: use --consumers 1"
            )


def _check_sizes(spec: TrialSpec, smallest_bytes: int, largest_bytes: int | None) -> None:
    least = spec.smallest_bytes or spec.size_bytes
    if least < smallest_bytes:
        raise UsageError(
            f"a message with the payload {spec.payload} has at least {smallest_bytes} bytes, so size "
            f"{least} is too small"
        )
    if largest_bytes is not None and spec.size_bytes > largest_bytes:
        raise MessageTooLargeError(
            f"a message with the payload {spec.payload} has at most {largest_bytes} bytes, so "
            f"{spec.size_bytes} is too large"
        )
    if isinstance(spec.size, SizeRange) and spec.smallest_bytes > spec.size_bytes:
        raise UsageError(
            f"the smallest size, {spec.smallest_bytes}, is larger than the largest, {spec.size_bytes}"
        )
