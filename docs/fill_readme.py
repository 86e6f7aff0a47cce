"""Put measured figures into README.md and README.zh.md, between the marks of their slot.

ipclab show latest --format md | python docs/fill_readme.py table
python benchmarks/overhead.py --format json | python docs/fill_readme.py overhead
ipclab show crash/latest --format md | python docs/fill_readme.py safety   (and docs/safety-table.md)
python docs/fill_readme.py claims
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def result_table(markdown: str) -> str:
    """Return a result in Markdown with its headings two levels lower, below those of the README."""
    return re.sub(r"^(#+) ", r"##\1 ", markdown.strip(), flags=re.MULTILINE)


def overhead_table(figures: str) -> str:
    """Return the table of what benchmarks/overhead.py measured."""
    lines = [
        "| backend | window | pairs | lab, messages/s | plain loop, messages/s | ratio | quartiles "
        "| CPU µs: lab | plain loop |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in json.loads(figures):
        if not row["pairs"]:
            lines.append(f"| {row['backend']} | {row['window']} | 0 | – | – | – | {row['problem']} | – | – |")
            continue
        lines.append(
            f"| {row['backend']} | {row['window']} | {row['pairs']} "
            f"| {row['lab_per_s']:,.0f} | {row['plain_per_s']:,.0f} "
            f"| {row['ratio']:.2f} | {row['ratio_q1']:.2f}–{row['ratio_q3']:.2f} "
            f"| {row['lab_cpu_us']:.1f} | {row['plain_cpu_us']:.1f} |"
        )
    return "\n".join(lines)


HISTORY = re.compile(r"\[[^\]]*\]\(histories/[^)]*\)")
"""A link to a history, which stays in the folder of the run."""
SAFETY_SHOWN = "Faults of a consumer"
SAFETY_PAGE = README.parent / "docs" / "safety-table.md"


def safety_table(markdown: str) -> str:
    """Return the conditions of a run of the fault matrix, and one of its sections."""
    conditions = [
        line for line in markdown.splitlines() if line.startswith(("- Machine", "- Brokers", "- Measured"))
    ]
    (section,) = [part for part in re.split(r"^## ", markdown, flags=re.M) if part.startswith(SAFETY_SHOWN)]
    return "\n".join([*conditions, "", f"### {HISTORY.sub('', section).strip()}"])


def safety_page(markdown: str) -> str:
    """Return the whole matrix without the evidence, whose histories are in the folder of the run."""
    matrix, evidence = markdown.split("## Evidence\n")
    notes = [line for line in evidence.splitlines() if re.match(r"- (\d|[a-z]+ |–\()", line)]
    closing = [line for line in evidence.splitlines() if line.startswith("**Safety:")]
    text = "\n".join([HISTORY.sub("", matrix).rstrip(), "", *notes, "", *closing]).strip()
    return f"{text}\n\nHow to read it: [safety.md](safety.md#the-safety-table-how-to-read-it).\n"


CLAIMS_SHOWN = 8


def claims_head(page: Path) -> str:
    """Return the first rows of the verdicts on the page of the claims, with links that work in the README."""
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    return "\n".join(rows[: 2 + CLAIMS_SHOWN]).replace("](#", f"](docs/{page.name}#")


SLOTS = {"table": result_table, "overhead": overhead_table, "safety": safety_table}


def filled(readme: str, slot: str, text: str) -> str:
    """Return the README with ``text`` in this slot. Raises ValueError where it has no such slot."""
    begin, end = f"<!-- {slot}:begin -->", f"<!-- {slot}:end -->"
    before, marked, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not (marked and closed):
        raise ValueError(f"there is no {begin} … {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    """Fill one slot of both files with what comes on stdin."""
    slot = sys.argv[1]
    figures = "" if slot == "claims" else sys.stdin.read()
    if slot == "safety":
        SAFETY_PAGE.write_text(safety_page(figures))
    for path, page in ((README, "claims.md"), (README.with_suffix(".zh.md"), "claims.zh.md")):
        text = claims_head(README.parent / "docs" / page) if slot == "claims" else SLOTS[slot](figures)
        path.write_text(filled(path.read_text(), slot, text))


if __name__ == "__main__":
    main()
