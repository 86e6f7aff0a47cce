"""The guarantee classes: which rows declare enough of the same to be ranked together.

A channel that promises no order has an easier task than one that keeps each producer's order, so it is in a
class of its own, directly below the class that it would otherwise be in. A log keeps messages that a queue
forgets, which is other work: it is in a class of its own too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipclab.host.texts import mark, tr

Declared = Mapping[str, str | int | bool | list[str] | None]


@dataclass(frozen=True, slots=True, order=True)
class GuaranteeClass:
    """``place`` orders the classes, the strongest first. ``kept`` is the title of the class with the same
    guarantees that keeps the order, for one that does not. ``queue`` is the class with the same guarantees
    that is no log, for one that is."""

    place: int
    title: str
    kept: str = ""
    queue: GuaranteeClass | None = None

    def said(self) -> str:
        """Return the title in the language of the reader."""
        if self.queue is not None:
            return tr("{title}; a log, which can be read again", title=self.queue.said())
        return tr("{title}, in any order", title=tr(self.kept)) if self.kept else tr(self.title)


SURVIVES = GuaranteeClass(0, mark("At least once, survives a broker restart"))
ORDERLY = GuaranteeClass(4, mark("At least once, survives an orderly restart of the broker but no crash"))
WHILE_BROKER = GuaranteeClass(8, mark("At least once, while the broker lives"))
WHILE_ALL = GuaranteeClass(12, mark("At least once, while broker, producers and consumers live"))
AT_LEAST_OVERLOAD = GuaranteeClass(20, mark("At least once, but overload may cost messages"))
AT_LEAST_EXPIRED = GuaranteeClass(16, mark("At least once, but a long wait may cost messages"))
AT_MOST = GuaranteeClass(24, mark("At most once: a crash may cost messages"))
AT_MOST_OVERLOAD = GuaranteeClass(32, mark("At most once: a crash or overload may cost messages"))
AT_MOST_EXPIRED = GuaranteeClass(28, mark("At most once: a crash or a long wait may cost messages"))
FAN_OUT = GuaranteeClass(36, mark("Fan-out, at least once: every consumer gets every message"))
FAN_OUT_AT_MOST = GuaranteeClass(
    40, mark("Fan-out, at most once: every consumer that keeps up gets every message")
)
SAFE = GuaranteeClass(44, mark("Shared state: safe disciplines"))
UNSAFE = GuaranteeClass(48, mark("Shared state: unsafe disciplines"))
UNDECLARED = GuaranteeClass(52, mark("Nothing declared"))
_ORDERED = (
    SURVIVES, ORDERLY, WHILE_BROKER, WHILE_ALL, AT_LEAST_EXPIRED, AT_LEAST_OVERLOAD,
    AT_MOST, AT_MOST_EXPIRED, AT_MOST_OVERLOAD,
)  # fmt: skip


def _in_any_order(kept: GuaranteeClass) -> GuaranteeClass:
    # Places are multiples of four, so that three are free behind each.
    return GuaranteeClass(kept.place + 1, f"{kept.title}, in any order", kept.title)


def _as_log(queue: GuaranteeClass) -> GuaranteeClass:
    return GuaranteeClass(queue.place + 2, f"{queue.title}; a log, which can be read again", queue=queue)


_DELIVER = (*_ORDERED, *map(_in_any_order, _ORDERED), FAN_OUT, FAN_OUT_AT_MOST)
_ALL = (*_DELIVER, *map(_as_log, _DELIVER), SAFE, UNSAFE, UNDECLARED)
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
        found = FAN_OUT if at_least_once else FAN_OUT_AT_MOST
    else:
        found = _of_queue(declared, at_least_once=at_least_once)
        found = _in_any_order(found) if declared.get("order") == "none" else found
    return _as_log(found) if declared.get("log_offset") else found


def _of_queue(declared: Declared, *, at_least_once: bool) -> GuaranteeClass:
    """Return the class of a queue by its declared causes of loss, regardless of its order."""
    causes = declared.get("may_lose")
    may_lose = set(causes) if isinstance(causes, list) else set()
    if not at_least_once:
        if "overload" in may_lose:
            return AT_MOST_OVERLOAD
        return AT_MOST_EXPIRED if "expired" in may_lose else AT_MOST
    if "overload" in may_lose:
        return AT_LEAST_OVERLOAD
    if "expired" in may_lose:
        return AT_LEAST_EXPIRED
    if may_lose - {"broker crash"}:
        return WHILE_ALL
    if declared.get("durability") == "none":
        return WHILE_BROKER
    return ORDERLY if may_lose else SURVIVES
