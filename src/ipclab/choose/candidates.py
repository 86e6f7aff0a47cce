"""What could be chosen: each channel, in the modes that differ in what they declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ipclab.backends.base import Guarantees, OptionValue, Site
from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import kinds
from ipclab.errors import UsageError

UNDER_SETTINGS = ("kill", "restart")
"""A setting of a server that the lab tries with these faults changes what survives the server."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel with its options, and settings of its server.

    ``name`` is the text for ``--backend``; ``options`` has the defaults too. ``settings`` is empty for a
    server as it comes. ``declared`` holds under these settings.
    """

    name: str
    variant: Variant
    declared: Guarantees
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    broker: str | None = None
    max_producers: int | None = None
    max_consumers: int | None = None

    @property
    def key(self) -> str:
        """Return the key under which stored evidence about this candidate is found."""
        return key_of(self.variant, self.settings)


def key_of(variant: Variant, settings: Mapping[str, str]) -> str:
    """Return one text for all ways to write a mode. Raise UsageError for an unknown backend or option."""
    parts = [f"{name}={value}" for name, value in sorted(_options(variant).items())]
    parts += [f"server.{name}={value}" for name, value in sorted(settings.items())]
    return f"{variant.name}:{','.join(parts)}"


def _options(variant: Variant) -> dict[str, OptionValue]:
    kind = channel_class(variant)
    return {option.name: variant.options.get(option.name, option.default) for option in kind.options}


def of(variants: Iterable[Variant]) -> list[Candidate]:
    """Return the candidates of these channels: each as it is, and under the settings that its server has."""
    found: dict[str, Candidate] = {}
    for variant in variants:
        kind = channel_class(variant)
        declared = kind(Site(namespace="ipclab:choose"), **variant.options).guarantees
        for settings in _settings(kind.broker, declared):
            one = Candidate(
                name=str(variant),
                variant=variant,
                declared=_under(kind.broker, declared, settings),
                options=_options(variant),
                settings=settings,
                broker=kind.broker,
                max_producers=kind.max_producers,
                max_consumers=kind.max_consumers,
            )
            found.setdefault(one.key, one)
    return list(found.values())


def _settings(broker: str | None, declared: Guarantees) -> list[Mapping[str, str]]:
    """Return no settings, and those that make more survive a restart of this server."""
    found: list[Mapping[str, str]] = [{}]
    if broker is None:
        return found
    try:
        kind = kinds.get(broker)
    except UsageError:
        return found
    for case in kind.settings_cases:
        settings = dict(case.settings)
        if set(UNDER_SETTINGS) & set(case.actions) and _under(broker, declared, settings) != declared:
            found.append(settings)
    return found


def _under(broker: str | None, declared: Guarantees, settings: Mapping[str, str]) -> Guarantees:
    if broker is None or not settings:
        return declared
    return kinds.get(broker).under(declared, dict(settings))
