"""Put measured figures into the documents, between the marks of their slots, and draw the pictures.

python docs/fill_readme.py runs         README, docs/results.md and docs/images, from the runs in docs/run
python benchmarks/overhead.py --format json | python docs/fill_readme.py overhead
ipclab show crash/latest --format md | python docs/fill_readme.py safety        (docs/safety-table.md)
ipclab show crash/latest --format md | python docs/fill_readme.py more SLOT     (docs/safety-more.md)

The Chinese pages are filled as well.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ipclab.report import formats, table
from ipclab.report.html import words
from ipclab.report.look import Look
from ipclab.results import busy, units
from ipclab.results.result import Result
from ipclab.results.rows.row import Row
from ipclab.results.store import read

sys.path.insert(0, str(Path(__file__).parent))
from needs import NEEDS, Need

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
RESULTS, OVERHEAD, SAFETY, MORE = (
    DOCS / name for name in ("results.md", "overhead.md", "safety-table.md", "safety-more.md")
)
RUNS, IMAGES = DOCS / "run", DOCS / "images"
COMPARISON = "comparison"


def stored() -> dict[str, Result]:
    """Return the stored runs by experiment. Raise ResultsError for an unreadable one."""
    return {path.parent.name: read(path) for path in sorted(RUNS.glob("*/result.json"))}


def slots(language: str) -> dict[str, str]:
    """Return what the stored runs put into the slots of the pages in this language, ``en`` or ``zh``."""
    runs = stored()
    return {
        "needs": needs_table(runs, language),
        "excerpt": excerpt(runs[COMPARISON]),
        "table": result_table(formats.RESULT.formatted(runs[COMPARISON], "md", Look())),
    }


def pages() -> dict[Path, str]:
    """Return README and results page in both languages, with their slots filled from the stored runs."""
    found = {}
    for language in ("en", "zh"):
        text = slots(language)
        for page, names in ((README, ("needs", "excerpt")), (RESULTS, ("table",))):
            path = translated(page, language)
            filled_page = path.read_text(encoding="utf-8")
            for name in names:
                filled_page = filled(filled_page, name, text[name])
            found[path] = filled_page
    return found


def translated(page: Path, language: str) -> Path:
    """Return the path of a page in this language."""
    return page if language == "en" else page.with_suffix(".zh.md")


def needs_table(runs: Mapping[str, Result], language: str) -> str:
    """Return the table that leads from a need to a backend, with its figures and its cost."""
    heads = {
        "en": ("you need", "take", "figures of stored runs", "what it costs"),
        "zh": ("你需要", "选用", "存下的运行中的数字", "代价"),
    }
    rows = {name: table.ranked_rows(run) for name, run in runs.items()}
    lines = [f"| {' | '.join(heads[language])} |", "| :-- | :-- | :-- | :-- |"]
    for need in NEEDS:
        own = _of(rows[need.experiment], need.backend)
        name = f"`{need.shown or need.backend}`"
        mode = f" {own[0].mode}" if need.shown else ""
        cost = _cost(need, rows[need.experiment], language)
        figures = _figures(own, language)
        if busy.warning(runs[need.experiment]):
            figures += {"en": " (rough: the machine was busy)", "zh": "（粗略：机器繁忙）"}[language]
        lines.append(f"| {getattr(need.need, language)} | {name}{mode} | {figures} | {cost} |")
    return "\n".join(lines)


def _of(rows: Sequence[Row], backend: str) -> list[Row]:
    """Return the rows of a backend, single messages first. Raise LookupError where there is none."""
    found = sorted((row for row in rows if row.backend == backend), key=lambda row: row.window or 1)
    if not found:
        raise LookupError(f"the stored run has no row of {backend}")
    return found


def _cost(need: Need, rows: Sequence[Row], language: str) -> str:
    fields = {}
    if need.unsafe:
        fields["lost"] = words.lost(_of(rows, need.unsafe)[0])
    if need.also:
        fields["also"] = _figures(_of(rows, need.also), language)
    text: str = getattr(need.cost, language)
    return text.format(**fields)


_SIGNS = {"en": (", ", "; ", "{} in batches of {}"), "zh": ("，", "；", "每批 {1} 条时 {0}")}


def _figures(rows: Sequence[Row], language: str) -> str:
    """Return rate and median latency, of single messages and of batches."""
    comma, stop, batch = _SIGNS[language]
    single, batches = [], []
    for row in rows:
        figure = words.speed(row) or row.shared_per_s
        rate = units.rate(figure.median, figure.spread) if figure else units.NOT_APPLICABLE
        if row.window and row.window > 1:
            batches.append(batch.format(rate, row.window))
            continue
        single.append(rate)
        found = words.latency(row) or row.update
        if found is not None and found.p50_ns is not None:
            single.append(f"p50 {units.duration(found.p50_ns)}")
    return stop.join([comma.join(single), *batches])


def excerpt(result: Result) -> str:
    """Return the columns of a comparison that matter most, in at most 40 lines."""
    shown = table.make(result)
    rows = [row for row in table.ranked_rows(result) if row.kind == "channel"]
    lines = [f"- {line}" for line in shown.heading if line.startswith(("Machine", "Brokers", "Measured"))]
    lines += ["", "| backend and mode | window | goodput | p50 | p99 | lost | verdict |"]
    lines.append("| :-- | --: | --: | --: | --: | --: | :-- |")
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append(f"| **{group}** | | | | | | |")
        lines.append(f"| {' | '.join(_cells(row))} |")
    return "\n".join([*lines, "", f"**{shown.closing}**"])


def _cells(row: Row) -> Iterator[str]:
    found = words.latency(row)
    yield f"{row.name} {row.mode}".rstrip()
    yield str(row.window or units.NOT_APPLICABLE)
    yield words.rate(words.speed(row))
    for name in ("p50_ns", "p99_ns"):
        if found is None:
            yield units.NOT_APPLICABLE
        else:
            value = getattr(found, name)
            yield units.WITHHELD if value is None else units.duration(value)
    yield words.lost(row)
    yield row.verdict


def draw(folder: Path) -> None:
    """Draw the pictures of the stored comparison into this folder."""
    from ipclab.cli.report import write_pictures
    from ipclab.report.html.run import gather

    write_pictures([gather(stored()[COMPARISON])], folder)


def result_table(markdown: str) -> str:
    """Return a result in Markdown with its headings two levels lower, below those of the page."""
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


HISTORY = re.compile(r"\[[^\]]*\]\([^)]*histories/[^)]*\)")
"""A link to a history, which stays in the folder of the run."""


def safety_page(markdown: str) -> str:
    """Return the page of the matrix."""
    reading = "How to read it: [safety.md](safety.md#the-safety-table-how-to-read-it)."
    return f"{safety_matrix(markdown)}\n\n{reading}\n"


def safety_part(markdown: str) -> str:
    """Return the matrix as a part of a page, under a heading of the second level."""
    _, _, text = safety_matrix(markdown).partition("\n")
    return re.sub("^## ", "### ", text.strip(), flags=re.MULTILINE)


def safety_matrix(markdown: str) -> str:
    """Return the whole matrix without the evidence, whose histories are in the folder of the run."""
    matrix, evidence = markdown.split("## Evidence\n")
    notes = [line for line in evidence.splitlines() if re.match(r"- (\d|[a-z]+ |–\()", line)]
    closing = [line for line in evidence.splitlines() if line.startswith("**Safety:")]
    return "\n".join([HISTORY.sub("", matrix).rstrip(), "", *notes, "", *closing]).strip()


def filled(page: str, slot: str, text: str) -> str:
    """Return the page with ``text`` in this slot. Raise ValueError where it has no such slot."""
    begin, end = f"<!-- {slot}:begin -->", f"<!-- {slot}:end -->"
    before, marked, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (marked and closed):
        raise ValueError(f"there is no {begin} … {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    """Fill the slots of one kind, from the stored runs or from what comes on stdin."""
    match sys.argv[1:]:
        case ["runs"]:
            for path, text in pages().items():
                path.write_text(text, encoding="utf-8")
            draw(IMAGES)
        case ["more", slot]:
            page = MORE.read_text(encoding="utf-8")
            MORE.write_text(filled(page, slot, safety_part(sys.stdin.read())), encoding="utf-8")
        case ["overhead"]:
            text = overhead_table(sys.stdin.read())
            for language in ("en", "zh"):
                path = translated(OVERHEAD, language)
                path.write_text(filled(path.read_text(encoding="utf-8"), "overhead", text), encoding="utf-8")
        case ["safety"]:
            SAFETY.write_text(safety_page(sys.stdin.read()), encoding="utf-8")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
