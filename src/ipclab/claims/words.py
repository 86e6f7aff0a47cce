"""The words of tables and pages, in both languages."""

from __future__ import annotations

from ipclab.claims.base import Row, Verdict
from ipclab.claims.outcome import Conditions, Outcome
from ipclab.claims.text import Text
from ipclab.host.language import Language

VERDICTS = {
    "holds": Text("holds", "成立"),
    "refuted": Text("refuted", "不成立"),
    "holds when": Text("holds when", "有条件成立"),
}
NOT_RUN = Text("not run", "未运行")
FAILED = Text("experiment failed", "实验失败")
HEADER = (
    Text("#", "#"),
    Text("claim", "说法"),
    Text("verdict", "结论"),
    Text("evidence of this run", "本次运行的证据"),
    Text("in practice", "实践中"),
)
EVENTS = Text("What happens", "过程（事件用英文）")
EVIDENCE = Text("Evidence", "证据")
VERDICT = Text("Verdict", "结论")
PRACTICE = Text("In practice", "实践中")
CONDITIONS = Text("Conditions", "条件")
_JOINT = {"holds": Text(": ", "："), "refuted": Text(": ", "："), "holds when": Text(" ", "，条件是：")}


def say(text: Text | str, language: Language) -> str:
    """Return a text in this language."""
    if isinstance(text, str):
        return text
    return text.zh if language == "zh" else text.en


def verdict_line(verdict: Verdict, language: Language, mark: str = "") -> str:
    """Return the kind of verdict, between marks, and the reason."""
    kind = f"{mark}{say(VERDICTS[verdict.kind], language)}{mark}"
    why = say(verdict.why, language)
    return f"{kind}{say(_JOINT[verdict.kind], language)}{why}" if why else kind


def state_line(outcome: Outcome, language: Language, mark: str = "") -> str:
    """Return the verdict of an outcome, or why there is none, and whether another one is recorded."""
    if outcome.verdict is None:
        state = NOT_RUN if outcome.state == "not run" else FAILED
        reason = outcome.reason.splitlines()[-1] if outcome.reason else ""
        return f"{mark}{say(state, language)}{mark}{'：' if language == 'zh' else ': '}{reason}"
    line = verdict_line(outcome.verdict, language, mark)
    if outcome.differs and outcome.recorded is not None:
        recorded = say(VERDICTS[outcome.recorded], language)
        line += f"（记录的结论为：{recorded}）" if language == "zh" else f" (recorded: {recorded})"
    return line


def row_line(row: Row, language: Language) -> str:
    """Return a row of evidence as a line."""
    colon = "：" if language == "zh" else ": "
    return f"{say(row.what, language)}{colon}{say(row.value, language)}"


def key_rows(rows: list[Row]) -> list[Row]:
    """Return the rows for a summary: those with ``key``, or all where none has it."""
    return [row for row in rows if row.key] or rows


def conditions_line(conditions: Conditions, language: Language) -> str:
    """Return the conditions of a run in one line."""
    brokers = ", ".join(f"{kind} {what}" for kind, what in conditions.brokers.items())
    python = f"{conditions.implementation} {conditions.python}"
    if language == "zh":
        line = f"{python}，启动方式 {conditions.start_method}，{conditions.cores} 核，{conditions.system}"
        return f"{line}，{brokers}" if brokers else line
    line = f"{python}, start method {conditions.start_method}, {conditions.cores} cores, {conditions.system}"
    return f"{line}, {brokers}" if brokers else line
