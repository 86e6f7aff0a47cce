"""The pages ``claims.md`` and ``claims.zh.md``, from runs on one or several versions of Python.

The page derives what it says from the evidence of each run again, so that a page and the files of the claims
cannot contradict each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ipclab.claims.base import SECTIONS, Claim, Source
from ipclab.claims.outcome import Measured, Outcome, Run, settle
from ipclab.claims.table import markdown_row
from ipclab.claims.text import Text
from ipclab.claims.words import conditions_line, say, state_line
from ipclab.errors import UsageError
from ipclab.host.language import Language

_FILES: Mapping[str, Language] = {"claims.md": "en", "claims.zh.md": "zh"}
_CPYTHON = "https://github.com/python/cpython/blob/main/"

_TITLE = Text("The claims, settled", "逐条验证的说法")
_OTHER = Text("[中文](claims.zh.md)", "[English](claims.md)")
_INTRO = Text(
    "Study notes about Python processes and threads make statements that readers repeat. Each is settled "
    "here by an experiment: one short file in [`experiments/claims/`](../experiments/claims), which runs "
    "real processes and derives the verdict from what it measured: **holds**, **refuted**, or **holds "
    "when** a condition is met. An experiment chooses how its processes are started: by fork, unless it says "
    "otherwise. From Python 3.14 on the default on Linux is forkserver; claim 25 shows what that changes: a "
    "process finds global data as they were imported, not as they were at its start.\n\n"
    "Run one with `ipclab claims mutex --live` or `python "
    "experiments/claims/mutex.py`; `ipclab claims` runs all of them and exits with 1 where a verdict "
    "differs from the one that is recorded for the platform. This page is written by `ipclab claims --docs "
    "docs`, from the runs named under [Conditions](#conditions). Times and rates are of that machine and of "
    "what else ran on it, and will differ on yours; the verdicts should not. What shows only sometimes is "
    "given as k of n with a 95 % Wilson interval and, where possible, also forced, so that no verdict hangs "
    "on luck. *Waits for ever* means: under a watchdog, it did not come back, and its stack stood still at "
    "the place that is named.",
    "关于 Python 进程与线程的学习笔记中有一些常被转述的说法。这里用实验逐条验证："
    "[`experiments/claims/`](../experiments/claims) 中每条说法对应一个简短的文件，它运行真实的进程，"
    "并根据当次测得的结果得出结论：**成立**、**不成立**，或在某个条件下才成立（**有条件成立**）。"
    "实验自行选择进程的启动方式：除非另有说明，均为 fork。Python 3.14 起 Linux 上的默认方式是 forkserver，"
    "第 25 条说明其影响：进程看到的全局数据是导入时的值，而不是启动时的值。\n\n"
    "单独运行一条：`ipclab claims mutex --live` 或 `python experiments/claims/mutex.py`；"
    "`ipclab claims` 运行全部说法，若某条结论与该平台上记录的结论不同，则以状态码 1 退出。"
    "本页由 `ipclab claims --docs docs` 根据[运行条件](#运行条件)一节所列的运行结果生成。"
    "其中的时间和速率只代表那台机器和当时机器上的其他负载，换一台会有所不同；结论则不应改变。"
    "时有时无的现象以“n 次中 k 次”及 95 % Wilson 置信区间给出，并尽可能再用强制的执行次序重现一次，"
    "使结论不依赖运气。“永远阻塞”是指：在看门狗的监视下没有返回，且调用栈一直停在所示的位置。",
)
_VERDICTS = Text("Verdicts", "结论一览")
_CONDITIONS = Text("Conditions", "运行条件")
_EVIDENCE = Text("evidence", "证据")
_PRACTICE = Text("In practice", "实践中")
_SOURCES = Text("Why", "依据")
_EXPERIMENT = Text("Experiment", "实验")
_CLAIM, _VERDICT = Text("claim", "说法"), Text("verdict", "结论")


def make_pages(runs: Sequence[Run], claims: Mapping[str, Claim[Any]]) -> dict[str, str]:
    """Return the text of each page by its file name.

    Raise UsageError where a run does not contain one of the claims, or was made by another version of one.
    """
    columns = {_label(run, runs): _outcomes(run, claims) for run in runs}
    return {name: _page(runs, columns, claims, language) for name, language in _FILES.items()}


def _outcomes(run: Run, claims: Mapping[str, Claim[Any]]) -> dict[str, Outcome]:
    found = {outcome.name: outcome for outcome in run.outcomes}
    missing = sorted(claims.keys() - found.keys())
    if missing:
        raise UsageError(
            f"the run with Python {run.conditions.python} lacks {', '.join(missing)}; run it again"
        )
    return {name: _derive_again(found[name], claim, run) for name, claim in claims.items()}


def _derive_again(outcome: Outcome, claim: Claim[Any], run: Run) -> Outcome:
    if outcome.evidence is None:
        return outcome
    try:
        return settle(outcome.name, claim, Measured(evidence=outcome.evidence, seconds=outcome.seconds))
    except msgspec.ValidationError as error:
        raise UsageError(
            f"the run with Python {run.conditions.python} has other evidence of {outcome.name} than its "
            f"experiment gives now ({error}); run it again"
        ) from error


def _label(run: Run, runs: Sequence[Run]) -> str:
    """Return the minor version where it distinguishes the runs, else the whole version."""
    minors = [_minor(other) for other in runs]
    return _minor(run) if minors.count(_minor(run)) == 1 else run.conditions.python


def _minor(run: Run) -> str:
    return ".".join(run.conditions.python.split(".")[:2])


def _page(
    runs: Sequence[Run],
    columns: Mapping[str, Mapping[str, Outcome]],
    claims: Mapping[str, Claim[Any]],
    language: Language,
) -> str:
    parts = [f"# {say(_TITLE, language)}", say(_OTHER, language), say(_INTRO, language)]
    parts += [f"## {say(_VERDICTS, language)}", _overview(columns, claims, language)]
    for section, title in SECTIONS.items():
        inside = {name: claim for name, claim in claims.items() if claim.section == section}
        if inside:
            parts.append(f"## {say(title, language)}")
        for name, claim in inside.items():
            parts.append(_settled(name, claim, {label: c[name] for label, c in columns.items()}, language))
    parts.append(f"## {say(_CONDITIONS, language)}")
    parts.append("\n".join(f"- {conditions_line(run.conditions, language)}" for run in runs))
    return "\n\n".join(parts) + "\n"


def _overview(
    columns: Mapping[str, Mapping[str, Outcome]], claims: Mapping[str, Claim[Any]], language: Language
) -> str:
    lines = [
        markdown_row(["#", say(_CLAIM, language), say(_VERDICT, language)]),
        markdown_row(["--:", "---", "---"]),
    ]
    for name, claim in claims.items():
        of_versions = {label: outcomes[name] for label, outcomes in columns.items()}
        verdict = "<br>".join(_verdicts(of_versions, language))
        link = f"[{say(claim.statement, language)}](#{_anchor(_heading(claim, language))})"
        lines.append(markdown_row([str(claim.number), link, verdict]))
    return "\n".join(lines)


def _heading(claim: Claim[Any], language: Language) -> str:
    return f"{claim.number}. {say(claim.statement, language)}"


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _settled(name: str, claim: Claim[Any], outcomes: Mapping[str, Outcome], language: Language) -> str:
    colon = "：" if language == "zh" else ": "
    parts = [f"### {_heading(claim, language)}"]
    parts += _verdicts(outcomes, language)
    if any(outcome.rows for outcome in outcomes.values()):
        parts.append(_evidence(outcomes, language))
    parts.append(f"**{say(_PRACTICE, language)}**{colon}{say(claim.practice, language)}")
    sources = ("；" if language == "zh" else "; ").join(_link(source) for source in claim.sources)
    parts.append(f"**{say(_SOURCES, language)}**{colon}{sources}")
    parts.append(f"**{say(_EXPERIMENT, language)}**{colon}[`{name}.py`](../experiments/claims/{name}.py)")
    return "\n\n".join(parts)


def _verdicts(outcomes: Mapping[str, Outcome], language: Language) -> list[str]:
    """Return one line where all versions agree in every word, else one for each."""
    lines = {label: state_line(outcome, language, mark="**") for label, outcome in outcomes.items()}
    if len(set(lines.values())) == 1:
        return [next(iter(lines.values()))]
    return [f"{label}{'：' if language == 'zh' else ': '}{line}" for label, line in lines.items()]


def _evidence(outcomes: Mapping[str, Outcome], language: Language) -> str:
    """Return a row for each measurement, with one column per version, or one column where all agree."""
    cells = {
        label: {say(row.what, language): say(row.value, language) for row in outcome.rows}
        for label, outcome in outcomes.items()
    }
    whats = list(dict.fromkeys(what for column in cells.values() for what in column))
    if all(column == next(iter(cells.values())) for column in cells.values()):
        cells = {", ".join(cells): next(iter(cells.values()))}
    lines = [markdown_row([say(_EVIDENCE, language), *cells]), markdown_row(["---"] * (len(cells) + 1))]
    lines += [markdown_row([what, *(column.get(what, "–") for column in cells.values())]) for what in whats]
    return "\n".join(lines)


def _link(source: Source) -> str:
    if source.where.startswith("https://"):
        return f"[{source.title}]({source.where})"
    return f"[{source.title}, `{source.where}`]({_CPYTHON}{source.where})"
