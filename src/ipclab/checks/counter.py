"""The counter check: what a shared number must show after a known set of increments."""

from __future__ import annotations

import msgspec

from ipclab.checks.breach import Breach
from ipclab.checks.delivery import Verdict


class CounterVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``lost`` increments were confirmed and are missing from the final value; ``phantom`` ones are in it and
    were never attempted. ``safe`` is what the discipline declares. ``verdict`` is about that declaration, so
    a discipline that declares itself unsafe and loses updates is ``valid``. No discipline declares
    phantoms."""

    attempted: int
    confirmed: int
    final: int
    lost: int
    phantom: int
    safe: bool
    verdict: Verdict
    broken: list[Breach]


def of_unfinished(counter: CounterVerdict) -> CounterVerdict:
    """Return the verdict of a trial that did not finish: only a breach is proven.

    The figures stay, because the final value was read after every process had returned.
    """
    return msgspec.structs.replace(counter, verdict="invalid" if counter.broken else "unknown")


def settle(attempted: int, confirmed: int, final: int, *, safe: bool) -> CounterVerdict:
    """Judge a final value: confirmed <= final <= attempted must hold, because an increment whose outcome is
    unknown may or may not have happened."""
    lost, phantom = max(confirmed - final, 0), max(final - attempted, 0)
    broken: list[Breach] = []
    if lost and safe:
        text = f"lost {lost} of {confirmed} confirmed increments"
        broken.append(Breach(kind="lost", amount=lost, text=text))
    if phantom:
        text = f"shows {phantom} increments that nobody made"
        broken.append(Breach(kind="phantom", amount=phantom, text=text))
    return CounterVerdict(
        attempted=attempted,
        confirmed=confirmed,
        final=final,
        lost=lost,
        phantom=phantom,
        safe=safe,
        verdict="invalid" if broken else "valid",
        broken=broken,
    )
