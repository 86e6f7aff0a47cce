"""The definition of a claim: a statement, an experiment, and functions from the evidence to the verdict."""

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
    """The experiment cannot run here, for example because the system does not report what it needs."""

    exit_code = ExitCode.UNKNOWN


class Source(msgspec.Struct, frozen=True):
    """Documentation or code that explains the outcome: an address, or a path in the source of CPython."""

    title: str
    where: str


class Row(msgspec.Struct, frozen=True):
    """One line of evidence: what was measured, and what this run showed. ``key`` puts it into summaries."""

    what: Text
    value: Text | str
    key: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """The verdict of the evidence. ``why`` is the condition, what is true instead, or the reason."""

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
    """Return the verdict that the claim does not hold; the text says what was observed instead."""
    return Verdict("refuted", Text(en, zh))


def holds_when(en: str, zh: str) -> Verdict:
    """Return the verdict that the claim holds under this condition and fails without it."""
    return Verdict("holds when", Text(en, zh))


E = TypeVar("E", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Generic[E]):
    """A statement and the experiment that settles it.

    ``evidence`` is the type of the result of ``experiment``: a frozen ``msgspec.Struct`` of numbers and words
    that can be stored as JSON. ``verdict`` and ``show`` are pure functions of it. ``recorded`` has, by
    ``sys.platform``, the kind of verdict that is known; another one makes ``ipclab claims`` exit with 1.
    ``needs`` names the brokers without which the experiment cannot run.

    ``clean`` deletes what the experiment made on servers. It is called in an interpreter of its own, with the
    same ``namespace``, once all processes of the experiment have ended, however they ended and however far
    they came. It may be called twice.
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
    """Return the claim of a file: its three functions and its texts.

    The type of the evidence is the declared return type of ``experiment``. ``recorded`` is the verdict that
    is known on Linux, the only platform on which the lab is run.
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
