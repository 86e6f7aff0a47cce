"""The facts that a trial needs of its broker: its origin, its settings, and what it dropped meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ipclab.backends.base import Guarantees
from ipclab.brokers import kinds
from ipclab.brokers.base import Broker
from ipclab.checks.drops import Drops
from ipclab.errors import BrokerUnavailableError
from ipclab.trial.record import BrokerFacts


def facts(broker: Broker | None, *, settings: bool = False) -> BrokerFacts | None:
    """Return the stored facts of a broker; with its settings for a run, without them for a trial."""
    if broker is None:
        return None
    return BrokerFacts(
        kind=broker.kind,
        provider=broker.provider,
        version=broker.version,
        url=broker.masked_url,
        network=broker.network,
        settings=dict(broker.settings) if settings else {},
    )


def under(
    guarantees: Guarantees,
    broker: Broker | None,
    settings: Mapping[str, str] | None = None,
    dropped: Mapping[str, int] | None = None,
) -> Guarantees:
    """Return what a backend declares on this broker with its settings.

    ``settings`` are those that the trial sets in addition to the broker's own. A broker that has ``dropped``
    items of the lab by itself may lose by overload, whatever it declares.
    """
    if broker is None:
        return guarantees
    found = kinds.get(broker.kind).under(guarantees, {**broker.settings, **(settings or {})})
    return replace(found, may_lose=found.may_lose | {"overload"}) if dropped else found


class Losses:
    """What a broker drops by itself from now on, by its own counters; other users' items count too."""

    def __init__(self, broker: Broker | None) -> None:
        self._broker = broker
        self._before = self._read()
        self._excusing: Drops | None = None

    def so_far(self) -> dict[str, int]:
        """Return by counter how many items were dropped since; empty for none, or where it is unknown."""
        return {name: many for name, many in self._grown().items() if many}

    def drops(
        self,
        own: Guarantees,
        *,
        settings: Mapping[str, str] | None = None,
        under_way: int | None = None,
    ) -> Drops | None:
        """Return what these drops can have cost, where they bound a loss by overload.

        None where the declaration alone decides: the channel's ``own`` names overload as a loss cause, the
        server does not count its drops, or it dropped nothing and its settings do not let it. ``settings``
        are those of the trial. ``under_way`` is the most messages that the trial has under way; None for no
        bound.
        """
        if self._broker is None or "overload" in own.may_lose:
            return None
        grown = self._grown()
        if not grown:
            return None
        if not any(grown.values()) and "overload" not in under(own, self._broker, settings).may_lose:
            return None
        kind = kinds.get(self._broker.kind)
        try:
            most_lost = kind.most_lost(
                self._broker.url,
                grown,
                settings={**self._broker.settings, **(settings or {})},
                in_one_item=under_way,
            )
        except BrokerUnavailableError:
            return None
        self._excusing = Drops(sum(grown.values()), most_lost)
        return self._excusing

    def excuse(self, attempted: int) -> int | None:
        """Return how many lost messages of so many the drops excuse at most, by the last call of ``drops()``.

        None where the drops decide nothing.
        """
        if self._excusing is None:
            return None
        most = self._excusing.most_lost
        return attempted if most is None else min(most, attempted)

    def _grown(self) -> dict[str, int]:
        """Return the growth of each counter; empty where it is unknown."""
        now = self._read()
        grown = {name: now[name] - self._before[name] for name in now if name in self._before}
        # A server that was started again counts from zero.
        return {name: many for name, many in grown.items() if many >= 0}

    def _read(self) -> dict[str, int]:
        if self._broker is None:
            return {}
        try:
            return kinds.get(self._broker.kind).losses(self._broker.url)
        except BrokerUnavailableError:
            return {}
