"""The modes of every backend in the registry: the choices of options that differ in what they declare."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ipclab.backends.base import Channel, Counter, Face, Guarantees, Option, OptionValue, SharedState, Site
from ipclab.backends.registry import (
    Variant,
    backend_names,
    channel_class,
    counter_class,
    shared_class,
)
from ipclab.experiment import Request, faces

WINDOW = 10


@dataclass(frozen=True, slots=True)
class Mode:
    """A channel with its options, and a window."""

    variant: Variant
    window: int = 1

    def __str__(self) -> str:
        return f"{self.variant},window={self.window}" if self.window > 1 else str(self.variant)

    @classmethod
    def of(cls, name: str) -> Mode:
        """Return the channel of this name with its default options."""
        return cls(Variant(name))

    @property
    def channel(self) -> type[Channel]:
        """Return the class of the channel."""
        return channel_class(self.variant)

    @property
    def guarantees(self) -> Guarantees:
        """Return the declared guarantees."""
        return self.channel(Site(namespace="ipclab:modes"), **self.variant.options).guarantees


def channels(asked: Sequence[Variant]) -> list[Mode]:
    """Return the modes of these backends (of all, if none is named), with a window of 1."""
    found = []
    for variant in _chosen(asked, "channel"):
        kind = channel_class(variant)
        declared = set()
        for options in _combinations(kind.options, variant):
            guarantees = Mode(Variant(variant.name, options)).guarantees
            if repr(guarantees) not in declared:
                declared.add(repr(guarantees))
                found.append(Mode(Variant(variant.name, options)))
    return found


def with_windows(modes: Iterable[Mode]) -> Iterator[Mode]:
    """Return each of these, and with a larger window where that changes how messages travel."""
    for mode in modes:
        yield mode
        if mode.channel.windowed:
            yield Mode(mode.variant, WINDOW)


def counters(asked: Sequence[Variant]) -> list[Variant]:
    """Return every counter of these backends (of all, if none is named) under each of its disciplines."""
    return [
        Variant(variant.name, options)
        for variant in _chosen(asked, "counter")
        for options in _combinations(counter_class(variant).options, variant)
    ]


def counter(variant: Variant) -> Counter:
    """Return an instance to read its declaration."""
    return counter_class(variant)(Site(namespace="ipclab:modes"), **variant.options)


def shared(face: Face, variant: Variant) -> SharedState:
    """Return an instance to read its declaration."""
    return shared_class(face, variant)(Site(namespace="ipclab:modes"), **variant.options)


def _chosen(asked: Sequence[Variant], face: Face) -> list[Variant]:
    if not asked:
        return [Variant(name) for name in backend_names(face)]
    return [variant for variant in Request(backends=tuple(asked)).known() if face in faces(variant)]


def _combinations(options: Sequence[Option], fixed: Variant) -> Iterator[dict[str, OptionValue]]:
    """Yield all combinations of choices, the defaults first; an option in ``fixed`` has no choice."""
    spread = [option for option in options if option.choices and option.name not in fixed.options]
    choices = [(option.default, *(c for c in option.choices if c != option.default)) for option in spread]
    for chosen in itertools.product(*choices):
        yield {**fixed.options, **{option.name: value for option, value in zip(spread, chosen, strict=True)}}
