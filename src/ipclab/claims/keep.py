"""A stored run of claims: evidence and timeline. The rest is derived from the claims' files again."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from ipclab.claims import catalogue
from ipclab.claims.outcome import Conditions, Measured, Outcome, Run, settle
from ipclab.claims.timeline import Event
from ipclab.errors import ResultsError
from ipclab.host.files import read_bytes
from ipclab.results.reader import escaped_texts

MOST_BYTES = 8 << 20
"""The largest stored run of claims that is read. Evidence may be data of any form, which may take fifty
times their size in memory."""
_DECIMALS = 3
"""Decimals of the seconds of a timeline, which is shown with as many."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The part of an outcome that cannot be derived."""

    name: str
    state: Literal["run", "not run", "failed"] = "run"
    reason: str = ""
    broker_missing: bool = False
    evidence: dict[str, Any] | None = None
    timeline: list[Event] = []
    seconds: float = 0.0


class KeptRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run without the texts of the claims' files: see ``ipclab.claims.outcome.Run``."""

    ipclab_claims: int
    began_utc: str
    conditions: Conditions
    left: list[str] = []
    kept: list[Kept]


def text(run: Run) -> str:
    """Return a run as JSON to store: a line for each claim."""
    head = msgspec.json.encode(
        KeptRun(
            ipclab_claims=run.ipclab_claims,
            began_utc=run.began_utc,
            conditions=run.conditions,
            left=run.left,
            kept=[],  # the last field: see below
        )
    ).decode()
    lines = ",\n".join(msgspec.json.encode(_kept(outcome)).decode() for outcome in run.outcomes)
    return f"{head.removesuffix(']}')}\n{lines}\n]}}"


def read(path: Path) -> Run:
    """Return a stored run, from JSON in full or as evidence.

    Raise ResultsError where it cannot be read, or was made by other experiments than those of this version.
    """
    try:
        data = read_bytes(path, MOST_BYTES)
        in_full = "kept" not in msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        found = msgspec.json.decode(data, type=Run if in_full else KeptRun)
        whole = escaped_texts(msgspec.to_builtins(found), str(path))
        if in_full:
            return msgspec.convert(whole, Run)
        kept = msgspec.convert(whole, KeptRun)
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ResultsError(f"{path} is no run of claims: {error}; make one with -o") from error
    return Run(
        ipclab_claims=kept.ipclab_claims,
        began_utc=kept.began_utc,
        conditions=kept.conditions,
        outcomes=[_restored(one, path) for one in kept.kept],
        left=kept.left,
    )


def new_file(folder: Path, began_utc: str) -> Path:
    """Return the path, in the results folder, of what a run that began then has settled so far."""
    moment = datetime.datetime.fromisoformat(began_utc).astimezone(datetime.UTC)
    return folder / "claims" / f"{moment:%Y%m%dT%H%M%SZ}-{os.getpid()}.json"


def write(path: Path, run: Run) -> None:
    """Store a run at this path as evidence, in one step. Raise ResultsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(text(run), encoding="utf-8")
        part.rename(path)
    except OSError as error:
        raise ResultsError(
            f"cannot write {path}: {error.strerror}; name another folder with --results"
        ) from error


def require_same_conditions(run: Run, here: Conditions, path: Path) -> None:
    """Raise ResultsError where a stored run cannot go on here, as its outcomes are of other conditions."""
    for name in ("ipclab", "python", "implementation", "start_method", "system", "cores"):
        then, now = getattr(run.conditions, name), getattr(here, name)
        if then != now:
            raise ResultsError(
                f"{path} was made with {name} {then}, and this is {now}: go on there, or run the claims anew"
            )


def _kept(outcome: Outcome) -> Kept:
    return Kept(
        name=outcome.name,
        state=outcome.state,
        reason=outcome.reason,
        broker_missing=outcome.broker_missing,
        evidence=outcome.evidence,
        timeline=[Event(round(one.at_s, _DECIMALS), one.who, one.what) for one in outcome.timeline],
        seconds=round(outcome.seconds, _DECIMALS),
    )


def _restored(kept: Kept, path: Path) -> Outcome:
    claim = catalogue.find([kept.name])[kept.name]
    measured = Measured(
        evidence=kept.evidence,
        not_run=kept.reason if kept.state == "not run" else "",
        failure=kept.reason if kept.state == "failed" else "",
        timeline=kept.timeline,
        seconds=kept.seconds,
    )
    try:
        outcome = settle(kept.name, claim, measured)
    except msgspec.ValidationError as error:
        raise ResultsError(
            f"{path} has other evidence of {kept.name} than its experiment gives now ({error}); run it again"
        ) from error
    return msgspec.structs.replace(outcome, broker_missing=kept.broker_missing)
