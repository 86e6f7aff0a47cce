"""A conformance report as text: a line for each promise, and the crash matrix below."""

from __future__ import annotations

from itertools import groupby

from ipclab.conform.outcome import Kept, by_promise
from ipclab.report.conformance.shown import Shown
from ipclab.report.conformance.words import summary
from ipclab.report.formats import RESULT
from ipclab.report.look import Look
from ipclab.report.registry import TABLE
from ipclab.report.terminal import columns

HEADER = ("promise", "verdict", "kept in", "otherwise")


def render(shown: Shown, look: Look) -> str:
    """Return the report.

    A promise that is not kept in every mode shows in how many it is kept, and what happened in the others.
    """
    found = shown.conformance
    with_versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    rows = [
        (one.sentence, one.verdict, f"{one.kept} of {one.of}", _otherwise(one))
        for one in by_promise(found.outcomes)
    ]
    lines = [
        f"Conformance of {', '.join(found.backends)} ({with_versions})",
        "",
        columns(HEADER, rows, width=look.width, colour=look.colour),
        "",
        summary(shown),
    ]
    text = "\n".join(lines)
    if shown.crash is not None:
        text += "\n\n" + RESULT.formatted(shown.crash, TABLE.name, look).rstrip()
    return text + "\n"


def _otherwise(promise: Kept) -> str:
    """Return each reason once, with the modes that it is about."""
    by_reason = sorted(promise.others, key=lambda one: (one.verdict, one.reason))
    parts = []
    for (verdict, reason), same in groupby(by_reason, key=lambda one: (one.verdict, one.reason)):
        where = ", ".join(one.subject for one in same)
        parts.append(f"{verdict} in {where}: {reason}")
    return "; ".join(parts)
