"""What a trial with payloads adds to its record, and the segments of shared memory that it must not leave."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from ipclab.host import segments
from ipclab.payload.copies import count_copies
from ipclab.trial import workloads
from ipclab.trial.processes import Crew
from ipclab.trial.record import Serialising, TrialRecord
from ipclab.trial.spec import TrialSpec


@contextlib.contextmanager
def no_segments_left(spec: TrialSpec) -> Iterator[None]:
    """Delete the segments of this trial at the end of the block, however this process ends."""
    with segments.kept() if spec.codec == "shm" else contextlib.nullcontext():
        yield


def add(record: TrialRecord, crew: Crew) -> TrialRecord:
    """Return the record with the cost of serialising, the copies that it makes, and the segments left.

    Unlink those. All workers have ended.
    """
    spec = record.spec
    if spec.is_plain:
        return record
    left = segments.sweep(segments.prefix()) if spec.codec == "shm" else 0
    return msgspec.structs.replace(
        record,
        serialising=_serialising(spec, crew),
        segments_left=left,
        copies_made=count_copies(spec.payload, spec.codec, spec.size_bytes),
    )


def _serialising(spec: TrialSpec, crew: Crew) -> Serialising | None:
    done = [(w.role, w.done) for w in crew.workers if w.done]
    per_count = workloads.of(spec).messages_per_count
    messages = per_count * sum(one.count for role, one in done if role in ("consumer", "pinger"))
    if len(done) < len(crew.workers) or not messages:
        return None
    return Serialising(
        encode_us_per_message=sum(one.encode_cpu_ns for _, one in done) / messages / 1e3,
        decode_us_per_message=sum(one.decode_cpu_ns for _, one in done) / messages / 1e3,
        check_us_per_message=sum(one.check_cpu_ns for _, one in done) / messages / 1e3,
    )
