"""Which rows are alike enough to be ranked together: classes of guarantees, told from what was declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Declared = Mapping[str, str | int | bool | list[str] | None]


@dataclass(frozen=True, slots=True, order=True)
class GuaranteeClass:
    """``place`` orders the classes, the strongest first."""

    place: int
    title: str


SURVIVES = GuaranteeClass(0, "At least once, survives a broker restart")
WHILE_BROKER = GuaranteeClass(1, "At least once, while the broker lives")
WHILE_ALL = GuaranteeClass(2, "At least once, while broker, producers and consumers live")
AT_LEAST_OVERLOAD = GuaranteeClass(3, "At least once, but overload may cost messages")
AT_MOST = GuaranteeClass(4, "At most once: a crash may cost messages")
AT_MOST_OVERLOAD = GuaranteeClass(5, "At most once: a crash or overload may cost messages")
FAN_OUT = GuaranteeClass(6, "Fan-out, at least once: every consumer gets every message")
FAN_OUT_AT_MOST = GuaranteeClass(7, "Fan-out, at most once: every consumer that keeps up gets every message")
SAFE = GuaranteeClass(8, "Shared state: safe disciplines")
UNSAFE = GuaranteeClass(9, "Shared state: unsafe disciplines")
UNDECLARED = GuaranteeClass(10, "Nothing declared")


def guarantee_class(declared: Declared) -> GuaranteeClass:
    """The class of a channel's or a counter's declaration, as it stands in a trial record."""
    if "safe" in declared:
        return SAFE if declared["safe"] else UNSAFE
    if "delivery" not in declared:
        return UNDECLARED
    at_least_once = declared["delivery"] == "at-least-once"
    if declared.get("fan_out"):
        return FAN_OUT if at_least_once else FAN_OUT_AT_MOST
    causes = declared.get("may_lose")
    may_lose = set(causes) if isinstance(causes, list) else set()
    if not at_least_once:
        return AT_MOST_OVERLOAD if "overload" in may_lose else AT_MOST
    if "overload" in may_lose:
        return AT_LEAST_OVERLOAD
    if may_lose - {"broker crash"}:
        return WHILE_ALL
    survives = declared.get("durability") != "none" and not may_lose
    return SURVIVES if survives else WHILE_BROKER
