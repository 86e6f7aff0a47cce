"""Advice below a group of the safety table, derived from what its cells showed. Pure.

A rule is a condition on a cell and a sentence. The sentence stands only where a cell of this run fulfils the
condition, and it names the rows that did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ipclab.faults.spec import EFFECTS, Effect, Target
from ipclab.host.texts import tr
from ipclab.results import units
from ipclab.results.safety.sightings import Kind
from ipclab.results.safety.suffered import Suffered

_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class _Rule:
    """``sentence`` names the ``rows`` that fulfil ``seen``, and ``what`` their processes hung or ended in."""

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
            found.append(tr(rule.sentence, rows=_names(showed), what=_what(showed, rule.what)))
    if tried and all(cell.verdict == "kept" for cell in tried):
        many = units.of(sum(len(cell.trials) for cell in tried), "trial")
        found.append(
            tr(
                "No message was lost or repeated and no process hung in {many}; other "
                "timings may still show a fault.",
                many=many,
            )
        )
    return found


def _names(cells: Iterable[Suffered]) -> str:
    names = list(dict.fromkeys(cell.row for cell in cells))
    more = len(names) - _MOST_NAMES
    return "; ".join(names[:_MOST_NAMES]) + (
        tr(" and {more} more", more=units.count(more)) if more > 0 else ""
    )


def _what(cells: Iterable[Suffered], kind: Kind | None) -> str:
    if kind is None:
        return ""
    pieces = (piece for cell in cells for piece in cell.saw(kind))
    texts = dict.fromkeys(piece.worst.what.partition(":")[0] for piece in pieces)
    return ", ".join(texts)


def _saw(target: Target, effects: Sequence[Effect], kind: Kind) -> Callable[[Suffered], bool]:
    """Return the condition that a fault of this target and effect showed this finding, as declared."""

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


def _confirms_early(cell: Suffered) -> bool:
    """Return whether only the broker itself can have lost a message that it confirmed."""
    return cell.declared.get("confirm") == "broker" and cell.declared.get("delivery") == "at-least-once"


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


_RULES = (
    _Rule(
        _broke, "Do not rely on {rows}: a guarantee that is declared there did not hold; see the evidence."
    ),
    _Rule(
        _both(_saw("consumer", EFFECTS, "lost"), _fans_out),
        "A subscriber does not get messages that are published while it cannot receive ({rows}): use a queue "
        "or a stream where every message matters.",
    ),
    _Rule(
        _both(_saw("consumer", ("ends",), "lost"), _not(_fans_out)),
        "When a consumer ends, the messages that were handed to it are lost ({rows}): use a channel with "
        "acknowledgements and acknowledge after the work, or accept that messages in flight are lost.",
    ),
    _Rule(
        _both(_saw("consumer", ("cuts",), "lost"), _not(_fans_out)),
        "When a consumer loses its connection, the messages that were on their way to it are lost ({rows}): "
        "use a channel with acknowledgements, or accept that messages in flight are lost.",
    ),
    _Rule(
        _both(_saw("consumer", ("stops",), "lost"), _not(_fans_out)),
        "A consumer that is paused misses messages ({rows}): use a channel that keeps messages until a "
        "consumer takes them.",
    ),
    _Rule(
        _saw("consumer", ("ends", "cuts"), "twice"),
        "When a consumer ends or loses its connection, messages that it has not acknowledged are delivered "
        "again ({rows}): make the work safe to repeat, or record which messages are done.",
    ),
    _Rule(
        _saw("consumer", ("stops",), "twice"),
        "While a consumer is paused, messages that it has not acknowledged can be delivered again ({rows}): "
        "make the work safe to repeat, or record which messages are done.",
    ),
    _Rule(
        _both(_saw("producer", ("ends",), "lost"), _buffered),
        "When a producer ends, messages in its own buffer are lost although send() has returned ({rows}): "
        "close the producer before it ends, or use a channel whose broker confirms messages.",
    ),
    _Rule(
        _both(_saw("producer", ("ends",), "lost"), _not(_buffered)),
        "When a producer ends, messages that it has sent can be lost ({rows}): use publisher confirms, or "
        "accept that messages in flight are lost.",
    ),
    _Rule(
        _saw("producer", ("cuts",), "lost"),
        "When a producer loses its connection, messages that it has sent can be lost ({rows}): use publisher "
        "confirms, or accept that messages in flight are lost.",
    ),
    _Rule(
        _saw("producer", ("stops",), "lost"),
        "Messages of a paused producer are lost ({rows}): use a channel that keeps messages until a consumer "
        "takes them.",
    ),
    _Rule(
        _saw("producer", EFFECTS, "twice"),
        "A send without an answer may have been carried out ({rows}): sending the message again makes a "
        "second copy, so number the messages and drop copies.",
    ),
    _Rule(
        _both(_saw("broker", ("ends",), "lost"), _not(_persists)),
        "When the broker ends, the messages in its memory are lost ({rows}): have it write messages to disk "
        "and confirm them, or keep them until they can be sent again.",
    ),
    _Rule(
        _both(_saw("broker", ("ends",), "lost"), _persists, _confirms_early),
        "A broker confirmed messages before they were on its disk, and lost some when it ended ({rows}): "
        "have it write first and confirm then, as with synchronous_commit=on or appendfsync=always.",
    ),
    _Rule(
        _both(_saw("broker", ("ends",), "lost"), _persists, _not(_confirms_early)),
        "A broker that writes messages to disk lost some when it ended ({rows}): only messages that it "
        "confirms after writing are safe, so use publisher confirms.",
    ),
    _Rule(
        _survived_a_kill,
        "No confirmed message was lost when the broker was killed ({rows}). A kill is no power failure: it "
        "does not show what an fsync policy is worth.",
    ),
    _Rule(
        _saw("broker", ("stops",), "lost"),
        "Messages were lost while the broker was paused ({rows}): use a channel with confirms and "
        "acknowledgements, or accept that messages in flight are lost.",
    ),
    _Rule(
        _saw("broker", ("cuts",), "lost"),
        "Messages were lost with the connections to the broker ({rows}): use a channel with confirms and "
        "acknowledgements, or accept that messages in flight are lost.",
    ),
    _Rule(
        _saw("broker", ("fills",), "lost"),
        "A full broker dropped messages that it had accepted ({rows}): set it to refuse messages instead of "
        "dropping them, and count the refusals.",
    ),
    _Rule(
        _saw("broker", EFFECTS, "twice"),
        "Messages whose acknowledgement did not reach the broker are delivered again ({rows}): make the work "
        "safe to repeat, or number the messages and drop copies.",
    ),
    _Rule(
        lambda cell: bool(cell.saw("reordered")),
        "Messages of one producer arrived out of order after the fault ({rows}): where order matters, number "
        "the messages and sort them.",
    ),
    _Rule(
        lambda cell: bool(cell.saw("corrupted", "phantom")),
        "Messages arrived damaged, or arrived although nobody had sent them ({rows}): verify every message, "
        "and create a new channel after such a fault.",
    ),
    _Rule(
        lambda cell: bool(cell.saw("hung")),
        "Other processes did not return from {what} ({rows}): watch the processes from outside, and create a "
        "new channel when one does not answer.",
        what="hung",
    ),
    _Rule(
        lambda cell: bool(cell.saw("ended")),
        "Processes ended with {what} ({rows}): handle this error by a new channel or a new process.",
        what="ended",
    ),
)
"""In the order in which they are shown."""
