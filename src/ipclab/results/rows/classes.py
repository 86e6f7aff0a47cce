"""The guarantee classes: which rows declare enough of the same to be ranked together.

A channel that promises no order has an easier task than one that keeps each producer's order, so it is in a
class of its own, directly below the class that it would otherwise be in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipclab.host.texts import mark, tr

Declared = Mapping[str, str | int | bool | list[str] | None]


@dataclass(frozen=True, slots=True, order=True)
class GuaranteeClass:
    """``place`` orders the classes, the strongest first. ``kept`` is the title of the class with the same
    guarantees that keeps the order, for one that does not."""

    place: int
    title: str
    kept: str = ""

    def said(self) -> str:
        """Return the title in the language of the reader."""
        return tr("{title}, in any order", title=tr(self.kept)) if self.kept else tr(self.title)


SURVIVES = GuaranteeClass(0, mark("At least once, survives a broker restart"))
ORDERLY = GuaranteeClass(2, mark("At least once, survives an orderly restart of the broker but no crash"))
WHILE_BROKER = GuaranteeClass(4, mark("At least once, while the broker lives"))
WHILE_ALL = GuaranteeClass(6, mark("At least once, while broker, producers and consumers live"))
AT_LEAST_OVERLOAD = GuaranteeClass(8, mark("At least once, but overload may cost messages"))
AT_MOST = GuaranteeClass(10, mark("At most once: a crash may cost messages"))
AT_MOST_OVERLOAD = GuaranteeClass(12, mark("At most once: a crash or overload may cost messages"))
FAN_OUT = GuaranteeClass(14, mark("Fan-out, at least once: every consumer gets every message"))
FAN_OUT_AT_MOST = GuaranteeClass(
    16, mark("Fan-out, at most once: every consumer that keeps up gets every message")
)
SAFE = GuaranteeClass(18, mark("Shared state: safe disciplines"))
UNSAFE = GuaranteeClass(20, mark("Shared state: unsafe disciplines"))
UNDECLARED = GuaranteeClass(22, mark("Nothing declared"))
_ORDERED = (SURVIVES, ORDERLY, WHILE_BROKER, WHILE_ALL, AT_LEAST_OVERLOAD, AT_MOST, AT_MOST_OVERLOAD)


def _in_any_order(kept: GuaranteeClass) -> GuaranteeClass:
    # Places are even, so that one is free behind each.
    return GuaranteeClass(kept.place + 1, f"{kept.title}, in any order", kept.title)


_ALL = (*_ORDERED, *map(_in_any_order, _ORDERED), FAN_OUT, FAN_OUT_AT_MOST, SAFE, UNSAFE, UNDECLARED)
_BY_TITLE = {each.title: each for each in _ALL}


def titled(title: str) -> GuaranteeClass:
    """Return the class of this title. Raise KeyError where there is none."""
    return _BY_TITLE[title]


def guarantee_class(declared: Declared) -> GuaranteeClass:
    """Return the class of a channel's or a counter's declaration, as stored in a trial record."""
    if "safe" in declared:
        return SAFE if declared["safe"] else UNSAFE
    if "delivery" not in declared:
        return UNDECLARED
    at_least_once = declared["delivery"] == "at-least-once"
    if declared.get("fan_out"):
        return FAN_OUT if at_least_once else FAN_OUT_AT_MOST
    found = _of_queue(declared, at_least_once=at_least_once)
    return _in_any_order(found) if declared.get("order") == "none" else found


def _of_queue(declared: Declared, *, at_least_once: bool) -> GuaranteeClass:
    """Return the class of a queue by its declared causes of loss, regardless of its order."""
    causes = declared.get("may_lose")
    may_lose = set(causes) if isinstance(causes, list) else set()
    if not at_least_once:
        return AT_MOST_OVERLOAD if "overload" in may_lose else AT_MOST
    if "overload" in may_lose:
        return AT_LEAST_OVERLOAD
    if may_lose - {"broker crash"}:
        return WHILE_ALL
    if declared.get("durability") == "none":
        return WHILE_BROKER
    return ORDERLY if may_lose else SURVIVES
