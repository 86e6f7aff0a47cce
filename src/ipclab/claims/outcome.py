"""The outcome of a claim, and of a run of several: plain records, stored as JSON."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ipclab import __version__
from ipclab.claims.base import Claim, Row, Section, Verdict, VerdictKind
from ipclab.claims.text import Text
from ipclab.claims.timeline import Event
from ipclab.exit_codes import ExitCode
from ipclab.host import start_methods as startmethod
from ipclab.host.resources import cores
from ipclab.host.text import clean

SCHEMA_VERSION = 1


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of an experiment's process: evidence as plain data, or why there is none."""

    evidence: dict[str, Any] | None = None
    not_run: str = ""
    failure: str = ""
    timeline: list[Event] = []
    seconds: float = 0.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of a claim. ``recorded`` is the known kind of verdict for this platform, None for none.

    ``reason`` says why there is no verdict: what is missing here (``not run``), or what went wrong.
    """

    name: str
    number: int
    section: Section
    statement: Text
    state: Literal["run", "not run", "failed"]
    reason: str = ""
    broker_missing: bool = False
    verdict: Verdict | None = None
    recorded: VerdictKind | None = None
    rows: list[Row] = []
    practice: Text
    evidence: dict[str, Any] | None = None
    timeline: list[Event] = []
    seconds: float = 0.0

    @property
    def differs(self) -> bool:
        """Return whether the verdict differs from the recorded one for this platform."""
        return self.verdict is not None and self.recorded not in (None, self.verdict.kind)


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The conditions of a run, in general terms."""

    ipclab: str
    python: str
    implementation: str
    start_method: str
    system: str
    cores: int
    brokers: dict[str, str]


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run of claims. ``ipclab_claims`` is the version of the schema. ``left`` names the claims that were
    asked for and are not settled, because the run was interrupted."""

    ipclab_claims: int
    began_utc: str
    conditions: Conditions
    outcomes: list[Outcome]
    left: list[str] = []


def settle(name: str, claim: Claim[Any], measured: Measured) -> Outcome:
    """Derive the verdict from the evidence; return the outcome."""
    parts: dict[str, Any] = {"state": "failed", "reason": clean(measured.failure)}
    if measured.not_run:
        parts = {"state": "not run", "reason": clean(measured.not_run)}
    elif measured.evidence is not None:
        evidence = msgspec.convert(measured.evidence, claim.evidence)
        parts = {
            "state": "run",
            "verdict": claim.verdict(evidence),
            "rows": list(claim.show(evidence)),
            "evidence": measured.evidence,
        }
    return Outcome(
        name=name,
        number=claim.number,
        section=claim.section,
        statement=claim.statement,
        practice=claim.practice,
        recorded=claim.recorded.get(sys.platform),
        timeline=measured.timeline,
        seconds=measured.seconds,
        **parts,
    )


def broker_missing(name: str, claim: Claim[Any], reason: str) -> Outcome:
    """Return the outcome of a claim for which a broker is missing."""
    outcome = settle(name, claim, Measured(not_run=reason))
    return msgspec.structs.replace(outcome, broker_missing=True)


def conditions(brokers: dict[str, str]) -> Conditions:
    """Return the conditions of this process, with the brokers found: kind to provider and version."""
    return Conditions(
        ipclab=__version__,
        python=platform.python_version(),
        implementation=sys.implementation.name,
        start_method=startmethod.default(),
        system=platform.system(),
        cores=cores(),
        brokers=brokers,
    )


def new_run(here: Conditions, outcomes: list[Outcome], began_utc: str, left: Sequence[str] = ()) -> Run:
    """Return a run that began then, with these outcomes; the claims that are ``left`` have none."""
    return Run(
        ipclab_claims=SCHEMA_VERSION,
        began_utc=began_utc,
        conditions=here,
        outcomes=outcomes,
        left=list(left),
    )


def exit_code(outcomes: list[Outcome]) -> int:
    """Return 1 where a verdict differs from the recorded one or an experiment failed, else 4 where a broker
    was missing, else 3 where something else was missing, else 0."""
    if any(outcome.differs or outcome.state == "failed" for outcome in outcomes):
        return ExitCode.BROKEN
    if any(outcome.broker_missing for outcome in outcomes):
        return ExitCode.NO_BROKER
    left = any(outcome.state == "not run" for outcome in outcomes)
    return ExitCode.UNKNOWN if left else ExitCode.SUCCESS
