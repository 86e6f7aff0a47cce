"""What a claim is: a statement, an experiment, and how the verdict is read off the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, get_type_hints

import msgspec

from ipclab.backends.base import BrokerKind
from ipclab.claims.text import Text
from ipclab.errors import IpclabError
from ipclab.exit_codes import ExitCode

if TYPE_CHECKING:
    from ipclab.claims.bench import Bench

VerdictKind = Literal["holds", "refuted", "holds when"]
Section = Literal["processes", "locks", "sharing", "pools", "threads"]


SECTIONS: Mapping[Section, Text] = {
    "processes": Text("Processes", "进程"),
    "locks": Text("Locks, semaphores, events", "锁、信号量、事件"),
    "sharing": Text("Sharing data", "数据共享"),
    "pools": Text("Pools", "进程池"),
    "threads": Text("Threads", "线程"),
}
"""The sections of the notes, in their order."""


class NotRunError(IpclabError):
    """The experiment cannot be run here, for example because the system does not report what it needs."""

    exit_code = ExitCode.UNKNOWN


class Source(msgspec.Struct, frozen=True):
    """Documentation or code that explains the outcome: an address, or a path in the source of CPython."""

    title: str
    where: str


class Row(msgspec.Struct, frozen=True):
    """One line of evidence: what was looked at, and what this run showed. ``key`` puts it into summaries."""

    what: Text
    value: Text | str
    key: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What the evidence says. ``why`` is the condition, what is true instead, or the reason."""

    kind: VerdictKind
    why: Text


def joined(parts: Iterable[Text], en: str = ", and ", zh: str = "，且") -> Text:
    """Return these parts as one text, with these words between them."""
    parts = list(parts)
    return Text(en.join(part.en for part in parts), zh.join(part.zh for part in parts))


def holds(en: str, zh: str) -> Verdict:
    """Return the verdict that the claim holds, with its reason."""
    return Verdict("holds", Text(en, zh))


def refuted(en: str, zh: str) -> Verdict:
    """Return the verdict that the claim does not hold; the text says what was seen instead."""
    return Verdict("refuted", Text(en, zh))


def holds_when(en: str, zh: str) -> Verdict:
    """Return the verdict that the claim holds under this condition and fails without it."""
    return Verdict("holds when", Text(en, zh))


E = TypeVar("E", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Generic[E]):
    """A statement and the experiment that settles it.

    ``evidence`` is the type of what ``experiment`` returns: a frozen ``msgspec.Struct`` of numbers and words
    that can be kept as JSON. ``verdict`` and ``show`` are pure functions of it. ``recorded`` says, by
    ``sys.platform``, which kind of verdict is known to come out; another one there makes ``ipclab claims``
    exit with 1. ``needs`` names the brokers without which the experiment cannot be run.

    ``clean`` deletes what the experiment made on servers. It is called in an interpreter of its own, with the
    same ``namespace``, once all processes of the experiment have ended, in whatever way and however far they
    came; it may be called twice.
    """

    number: int
    section: Section
    statement: Text
    evidence: type[E]
    experiment: Callable[[Bench], E]
    verdict: Callable[[E], Verdict]
    show: Callable[[E], Sequence[Row]]
    practice: Text
    sources: tuple[Source, ...]
    recorded: Mapping[str, VerdictKind]
    needs: tuple[BrokerKind, ...] = ()
    clean: Callable[[Bench], None] | None = None


def claim(
    experiment: Callable[[Bench], E],
    verdict: Callable[[E], Verdict],
    show: Callable[[E], Sequence[Row]],
    *,
    number: int,
    section: Section,
    statement: Text,
    practice: Text,
    sources: tuple[Source, ...],
    recorded: VerdictKind,
    needs: tuple[BrokerKind, ...] = (),
    clean: Callable[[Bench], None] | None = None,
) -> Claim[E]:
    """Return the claim of a file: its three functions, and what is said about them.

    The type of the evidence is what ``experiment`` says that it returns. ``recorded`` is the verdict that is
    known to come out on Linux, the only platform on which the lab is run.
    """
    return Claim(
        number=number,
        section=section,
        statement=statement,
        evidence=get_type_hints(experiment)["return"],
        experiment=experiment,
        verdict=verdict,
        show=show,
        practice=practice,
        sources=sources,
        recorded={"linux": recorded},
        needs=needs,
        clean=clean,
    )
