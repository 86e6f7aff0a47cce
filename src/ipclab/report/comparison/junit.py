"""A comparison as JUnit XML: a test case for each row and metric, undecided being skipped."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from ipclab.compare.comparison import Comparison
from ipclab.report.comparison.words import Line, lines
from ipclab.report.look import Look


def render(comparison: Comparison, _look: Look | None = None) -> str:
    """Return one test suite. What gates nothing is a case that passes, with its figures as output."""
    cases = lines(comparison)
    failures = sum(line.gates and line.word == "worse" for line in cases)
    skipped = sum(line.gates and line.word == "undecided" for line in cases)
    suite = f"ipclab {comparison.experiment}"
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="ipclab" tests="{len(cases)}" failures="{failures}" skipped="{skipped}">',
        f'<testsuite name={_quoted(suite)} tests="{len(cases)}" failures="{failures}" skipped="{skipped}" '
        f'errors="0" time="0">',
        *(part for line in cases for part in _case(line, suite)),
        "</testsuite>",
        "</testsuites>",
    ]
    return "\n".join(out) + "\n"


def _case(line: Line, suite: str) -> list[str]:
    name = f"{line.row}: {line.metric}"
    said = summary(line)
    if not line.gates or line.word in ("same", "better"):
        return [f"<testcase classname={_quoted(suite)} name={_quoted(name)}/>"]
    element = "failure" if line.word == "worse" else "skipped"
    return [
        f"<testcase classname={_quoted(suite)} name={_quoted(name)}>",
        f"<{element} message={_quoted(said)}/>",
        "</testcase>",
    ]


def summary(line: Line) -> str:
    """Return a line as a sentence: ``worse: 4.1 µs → 5 µs, +22% (95 % interval +18% … +27%)``."""
    parts = [f"{line.word}: {f'{line.old} → {line.new}' if line.old else line.new}"]
    if line.change:
        parts.append(line.change)
    if line.interval:
        parts.append(f"95 % interval {line.interval}")
    if line.visible:
        parts.append(f"would have seen {line.visible}")
    if line.evidence:
        parts.append(line.evidence)
    return ", ".join(parts)


def _quoted(text: str) -> str:
    # XML 1.0 has no control characters, not even as references.
    return quoteattr("".join(c for c in text if c.isprintable()))
