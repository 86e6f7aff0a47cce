"""All promises, and the cases in which a backend is checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ipclab.backends.registry import Variant
from ipclab.conform import modes
from ipclab.conform.bench import Bench
from ipclab.conform.modes import Mode
from ipclab.conform.promise import Promise
from ipclab.conform.promises import consumers, counters, delivery, housekeeping, servers, sizes

PROMISES: tuple[Promise, ...] = (
    *delivery.PROMISES,
    *sizes.PROMISES,
    *consumers.PROMISES,
    *servers.PROMISES,
    *counters.PROMISES,
    *housekeeping.PROMISES,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One promise, and the mode or counter that makes it."""

    promise: Promise
    subject: Mode | Variant

    def __str__(self) -> str:
        return f"{self.promise.name}-{self.subject}"

    def check(self, bench: Bench) -> None:
        """Check the promise. Raise BrokenPromise, Undecided, or what the backend raises."""
        self.promise.check(bench, self.subject)


def cases(asked: Sequence[Variant], promises: Iterable[Promise] = PROMISES) -> list[Case]:
    """Return every case of these backends, of all listed ones if none is named.

    A backend that is named is checked in all its modes unless options are set. Raise UnknownNameError.
    """
    channels = modes.channels(asked)
    counters_ = modes.counters(asked)
    return [
        Case(promise, subject)
        for promise in promises
        for subject in (
            _of_channels(promise, channels) if promise.about == "mode" else _of_counters(promise, counters_)
        )
    ]


def _of_channels(promise: Promise, found: Sequence[Mode]) -> Iterator[Mode]:
    if promise.once:
        first: dict[str, Mode] = {}
        for mode in found:
            first.setdefault(mode.variant.name, mode)
        found = list(first.values())
        return filter(promise.applies, found)
    return filter(promise.applies, modes.with_windows(found))


def _of_counters(promise: Promise, found: Sequence[Variant]) -> Iterator[Variant]:
    if promise.once:
        # A safe discipline, where there is one.
        first: dict[str, Variant] = {}
        for variant in sorted(found, key=lambda variant: not modes.counter(variant).safe):
            first.setdefault(variant.name, variant)
        found = list(first.values())
    return filter(promise.applies, found)
