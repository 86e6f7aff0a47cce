"""The prefetch of a channel: how many messages a consumer holds that it has not acknowledged.

A channel has one to choose where it has an option of that name.
"""

from __future__ import annotations

from ipclab.backends.registry import Variant, channel_class, channel_names
from ipclab.errors import UsageError

OPTION = "prefetch"


def chosen(variant: Variant, count: int | None) -> Variant | None:
    """Return the channel with this prefetch; None where it has none to choose, or ``count`` is None."""
    return None if count is None or _refusal(variant) else _with(variant, count)


def require(variant: Variant, count: int) -> Variant:
    """Return the channel with this prefetch. Raise UsageError where it has none to choose."""
    if refusal := _refusal(variant):
        raise UsageError(f"{variant} {refusal}: leave out --prefetch")
    return _with(variant, count)


def _with(variant: Variant, count: int) -> Variant:
    return Variant(variant.name, {**variant.options, OPTION: count})


def _refusal(variant: Variant) -> str:
    if variant.name not in channel_names() or OPTION not in {
        option.name for option in channel_class(Variant(variant.name)).options
    }:
        return "has no prefetch"
    if OPTION in variant.options:
        return "names its prefetch already"
    if variant.options.get("ack") == "auto":
        return "acknowledges nothing, so nothing limits what a consumer holds"
    return ""
