"""What follows from a group of the safety table, in plain words, by rules. Pure.

A rule is a thing that was seen, and a sentence; a sentence stands only where the thing was seen in this run,
and names the rows that showed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ipclab.faults.spec import EFFECTS, Effect, Target
from ipclab.results import units
from ipclab.results.safety.sightings import Kind
from ipclab.results.safety.suffered import Suffered

_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class _Rule:
    """``sentence`` is given the names of the cells that ``seen`` finds, and what they hung or ended in."""

    seen: Callable[[Suffered], bool]
    sentence: str
    what: Kind | None = None


def derive(cells: Sequence[Suffered]) -> list[str]:
    """Return the advice that the cells of one group support, about the faults of one target."""
    tried = [cell for cell in cells if cell.trials]
    found = []
    for rule in _RULES:
        showed = [cell for cell in tried if rule.seen(cell)]
        if showed:
            found.append(rule.sentence.format(rows=_names(showed), what=_what(showed, rule.what)))
    if tried and all(cell.verdict == "kept" for cell in tried):
        many = units.of(sum(len(cell.trials) for cell in tried), "trial")
        found.append(
            f"Nothing was lost, repeated or stuck in {many}; other timings may show what these did not."
        )
    return found


def _names(cells: Iterable[Suffered]) -> str:
    names = list(dict.fromkeys(cell.row for cell in cells))
    more = len(names) - _MOST_NAMES
    return "; ".join(names[:_MOST_NAMES]) + (f" and {units.count(more)} more" if more > 0 else "")


def _what(cells: Iterable[Suffered], kind: Kind | None) -> str:
    if kind is None:
        return ""
    pieces = (piece for cell in cells for piece in cell.saw(kind))
    texts = dict.fromkeys(piece.worst.what.partition(":")[0] for piece in pieces)
    return ", ".join(texts)


def _saw(target: Target, effects: Sequence[Effect], kind: Kind) -> Callable[[Suffered], bool]:
    """Return whether the cell is of this fault and saw this thing, as declared."""

    def seen(cell: Suffered) -> bool:
        fits = cell.target == target and cell.effect in effects
        return fits and any(piece.worst.standing == "declared" for piece in cell.saw(kind))

    return seen


def _both(*conditions: Callable[[Suffered], bool]) -> Callable[[Suffered], bool]:
    return lambda cell: all(condition(cell) for condition in conditions)


def _not(condition: Callable[[Suffered], bool]) -> Callable[[Suffered], bool]:
    return lambda cell: not condition(cell)


def _broke(cell: Suffered) -> bool:
    return any(piece.worst.standing == "broken" for piece in cell.pieces)


def _persists(cell: Suffered) -> bool:
    kept_on_disk = cell.declared.get("durability") in ("disk", "quorum")
    return kept_on_disk or cell.spec.broker_settings.get("appendonly") == "yes"


def _lost(cell: Suffered) -> bool:
    return bool(cell.saw("lost"))


def _fans_out(cell: Suffered) -> bool:
    return cell.declared.get("fan_out") is True


def _buffered(cell: Suffered) -> bool:
    return cell.declared.get("confirm") == "buffered"


def _survived_a_kill(cell: Suffered) -> bool:
    fault = cell.spec.fault
    is_kill = fault is not None and fault.ends_broker and fault.fault.abrupt
    if not is_kill or not _persists(cell) or not cell.confirmed:
        return False
    return cell.verdict in ("kept", "declared", "stopped") and not _lost(cell)


_DIES: tuple[Effect, ...] = ("ends",)
_RULES = (
    _Rule(_broke, "Do not rely on {rows}: what is declared there did not hold; see the evidence."),
    _Rule(
        _both(_saw("consumer", EFFECTS, "lost"), _fans_out),
        "A subscriber does not get what was sent while it could not listen ({rows}): use a queue or a stream "
        "where that matters.",
    ),
    _Rule(
        _both(_saw("consumer", ("ends", "cuts"), "lost"), _not(_fans_out)),
        "What a consumer was handed is gone with it ({rows}): use a channel that is acknowledged once the "
        "work is done, or lose what is in flight.",
    ),
    _Rule(
        _both(_saw("consumer", ("stops",), "lost"), _not(_fans_out)),
        "A consumer that stood still missed messages ({rows}): use a channel that waits for its consumers.",
    ),
    _Rule(
        _saw("consumer", EFFECTS, "twice"),
        "What was not acknowledged comes a second time ({rows}): make the work harmless to repeat, or "
        "remember what is done.",
    ),
    _Rule(
        _both(_saw("producer", EFFECTS, "lost"), _buffered),
        "A send that has returned may still lie in the producer's own memory ({rows}): let a producer close "
        "in good order, or have sends confirmed by somebody else.",
    ),
    _Rule(
        _both(_saw("producer", EFFECTS, "lost"), _not(_buffered)),
        "Messages that had been sent did not outlive the fault of their producer ({rows}): confirm "
        "publishes, or lose what is in flight.",
    ),
    _Rule(
        _saw("producer", EFFECTS, "twice"),
        "A send whose answer did not come may have happened ({rows}): sending again makes a second copy, so "
        "number messages and drop what came before.",
    ),
    _Rule(
        _both(_saw("broker", _DIES, "lost"), _not(_persists)),
        "What a broker holds in memory goes with it ({rows}): make it keep messages on disk and confirm "
        "publishes, or be able to send again.",
    ),
    _Rule(
        _both(_saw("broker", _DIES, "lost"), _persists),
        "A broker that keeps messages on disk lost some all the same ({rows}): only what it had confirmed "
        "after writing counts as kept, so confirm publishes.",
    ),
    _Rule(
        _survived_a_kill,
        "A killed process loses nothing that it has written ({rows}); that says nothing about a power cut, "
        "nor about one fsync policy against another.",
    ),
    _Rule(
        _saw("broker", ("stops", "cuts"), "lost"),
        "A broker that did not answer for a while cost messages ({rows}): use a channel with confirmed sends "
        "and acknowledgements, or lose what is in flight.",
    ),
    _Rule(
        _saw("broker", ("fills",), "lost"),
        "A full broker threw away what it had taken ({rows}): let it refuse instead of evict, and count what "
        "it refuses.",
    ),
    _Rule(
        _saw("broker", EFFECTS, "twice"),
        "What the broker did not know to be settled comes a second time ({rows}): make the work harmless to "
        "repeat, or number messages and drop what came before.",
    ),
    _Rule(
        lambda cell: bool(cell.saw("reordered")),
        "Order did not outlive the fault ({rows}): where it matters, number messages and sort them again.",
    ),
    _Rule(
        lambda cell: bool(cell.saw("corrupted", "phantom")),
        "What arrived was not what was sent ({rows}): check every message, and begin with a new channel "
        "after such a fault.",
    ),
    _Rule(
        lambda cell: bool(cell.saw("hung")),
        "Others never came back from {what} ({rows}): watch the processes from outside, and begin with a new "
        "channel when one does not answer.",
        what="hung",
    ),
    _Rule(
        lambda cell: bool(cell.saw("ended")),
        "Processes ended with {what} ({rows}): catch it, and start what gave up again.",
        what="ended",
    ),
)
"""In the order in which they are said."""
