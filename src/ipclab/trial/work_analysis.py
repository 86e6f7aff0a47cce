"""Analyse what the consumers of a trial with work did, from their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ipclab.trial import rawlog
from ipclab.trial.analysis import Window
from ipclab.trial.assignment import receipts_path, returns_path, sends_path, works_path
from ipclab.trial.distribution import summarize
from ipclab.trial.message import Originals
from ipclab.trial.record import Distribution, Worked
from ipclab.trial.spec import TrialSpec

Times = npt.NDArray[np.int64]
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class WorkFound:
    """``count`` confirmed messages were finished within the window. The latencies of a paced trial reach to
    the end of the first work that did not fail; None in other trials."""

    worked: Worked
    count: int
    end_to_end: Distribution | None
    service: Distribution | None


class Jobs:
    """When each message was first received and first finished, by producer; ``_NEVER`` where it was not."""

    def __init__(self, sent: Sequence[int]) -> None:
        self.received_ns = [np.full(many, _NEVER, np.int64) for many in sent]
        self.finished_ns = [np.full(many, _NEVER, np.int64) for many in sent]
        self.ended = self.failed = 0

    def add(self, receipts: npt.NDArray[np.void], ends: Times, originals: Originals) -> None:
        """Enter the receipts of one consumer and when it was done with each; the last may lack its end."""
        intact = originals.are_intact(receipts)
        header = receipts["header"]
        over = np.zeros(len(receipts), np.int64)
        over[: len(ends)] = ends[: len(receipts)]
        self.failed += int((over < 0).sum())
        for producer, received_ns in enumerate(self.received_ns):
            mine = intact & (header["producer"] == producer) & (header["sequence"] < len(received_ns))
            which = header["sequence"][mine].astype(np.int64)
            np.minimum.at(received_ns, which, receipts["time_ns"][mine])
            done = over[mine] > 0
            self.ended += int(done.sum())
            np.minimum.at(self.finished_ns[producer], which[done], over[mine][done])

    @property
    def finished(self) -> int:
        """Return how many messages were finished."""
        return sum(int((times != _NEVER).sum()) for times in self.finished_ns)

    @property
    def unfinished(self) -> int:
        """Return how many messages were received, and no work on them ended well."""
        pairs = zip(self.received_ns, self.finished_ns, strict=True)
        return sum(int(((got != _NEVER) & (done == _NEVER)).sum()) for got, done in pairs)


def jobs(spec: TrialSpec, logs: Path, originals: Originals, sent: Sequence[int]) -> Jobs:
    """Read what all consumers have logged so far. ``sent`` is how many messages each producer has sent."""
    found = Jobs(sent)
    for i in range(spec.consumers):
        name = f"consumer-{i}"
        ends = rawlog.read_stamps(works_path(logs, name))
        found.add(rawlog.read_receipts(receipts_path(logs, name)), ends, originals)
    return found


def analyse(
    spec: TrialSpec,
    logs: Path,
    window: Window,
    *,
    originals: Originals,
    due_ns: Mapping[int, Times],
    returned: int,
) -> WorkFound:
    """Return what the consumers did. ``due_ns`` has the intended send times of a paced trial, by producer.

    ``returned`` is how many messages they rejected.
    """
    names = [f"producer-{i}" for i in range(spec.producers)]
    sends = [rawlog.read_stamps(sends_path(logs, name)) for name in names]
    found = jobs(spec, logs, originals, [len(sent) for sent in sends])
    busy_ns, handling = _at_work(spec, logs, window)
    end_to_end, service, receipt, at = [], [], [], []
    count = 0
    for i, sent in enumerate(sends):
        confirmed = len(rawlog.read_stamps(returns_path(logs, names[i]))) if due_ns else len(sent)
        finished_ns = found.finished_ns[i][:confirmed]
        count += int((window.holds(finished_ns) & (finished_ns != _NEVER)).sum())
        if not due_ns:
            continue
        due = due_ns[i][:confirmed]
        done = np.flatnonzero(window.holds(due) & (finished_ns != _NEVER))
        end_to_end.append(finished_ns[done] - due[done])
        service.append(finished_ns[done] - sent[done])
        receipt.append(found.received_ns[i][done] - due[done])
        at.append(due[done])
    return WorkFound(
        worked=Worked(
            utilisation=busy_ns / (window.end_ns - window.start_ns) / spec.consumers,
            finished=found.finished,
            again=found.ended - found.finished,
            failed=found.failed,
            returned=returned,
            unfinished=found.unfinished,
            receipt=_summary(receipt, at),
            handling=handling,
        ),
        count=count,
        end_to_end=_summary(end_to_end, at),
        service=_summary(service, at),
    )


def _summary(parts: Sequence[Times], at_ns: Sequence[Times]) -> Distribution | None:
    return summarize(np.concatenate(parts), np.concatenate(at_ns)) if parts else None


def _at_work(spec: TrialSpec, logs: Path, window: Window) -> tuple[int, Distribution | None]:
    """Return the nanoseconds of the window that all consumers together spent in work, and how long each work
    that began within it took.

    A consumer whose last work has no end, because the trial was cut short, was at work until the window's
    end.
    """
    busy_ns, took, at = 0, [], []
    for i in range(spec.consumers):
        began = rawlog.read_receipts(receipts_path(logs, f"consumer-{i}"))["time_ns"].astype(np.int64)
        ended = np.abs(rawlog.read_stamps(works_path(logs, f"consumer-{i}")))[: len(began)]
        until = np.full(len(began), window.end_ns, np.int64)
        until[: len(ended)] = ended
        inside = np.minimum(until, window.end_ns) - np.maximum(began, window.start_ns)
        busy_ns += int(np.maximum(inside, 0).sum())
        measured = window.holds(began[: len(ended)])
        took.append((ended - began[: len(ended)])[measured])
        at.append(began[: len(ended)][measured])
    return busy_ns, _summary(took, at)
