"""The words of ``ipclab choose``, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ipclab.choose.decide import Assumption, Constraint, Gap, Rejected
from ipclab.choose.evidence import Load
from ipclab.choose.needs import Event, Harm
from ipclab.faults.spec import Target
from ipclab.host.language import Language
from ipclab.payload.kinds import PLAIN
from ipclab.results import units


class Text(NamedTuple):
    """The same words in both languages."""

    en: str
    zh: str

    def of(self, language: Language, **parts: object) -> str:
        """Return the words in one language, with these parts in their places."""
        return (self.zh if language == "zh" else self.en).format(**parts)


CONSTRAINTS: Mapping[Constraint, Text] = {
    "fan-out": Text("it sends each job to every worker", "每个作业会发给所有工作进程"),
    "producers": Text(
        "it takes {found} at most, and there are {needed} producers", "只支持 {found} 个生产者，不是 {needed}"
    ),
    "consumers": Text(
        "it takes {found} at most, and there are {needed} workers", "只支持 {found} 个工作进程，不是 {needed}"
    ),
    "servers": Text("it needs {found}, which may not be used", "需要 {found}，不允许使用"),
    "hosts": Text("it reaches the {found} only, not {needed} hosts", "只限 {found}，不能跨 {needed} 台主机"),
    "size": Text("it carries {found} at most, not {needed}", "最多传 {found}，需要 {needed}"),
    "unsafe": Text("it is an unsafe discipline, as it declares", "按其声明，这是不安全的用法"),
    "overload": Text("overload may cost jobs, as it declares", "按其声明，过载会丢作业"),
    "expired": Text("a job that waits too long may be dropped, as it declares", "按其声明，等太久的作业会丢"),
    "consumer": Text("a worker's death may cost jobs, as it declares", "按其声明，工作进程死亡会丢作业"),
    "producer": Text("a producer's death may cost jobs, as it declares", "按其声明，生产者死亡会丢作业"),
    "broker": Text("the broker's death may cost jobs, as it declares", "按其声明，服务器死亡会丢作业"),
    "reboot": Text("a reboot may cost jobs, as it declares", "按其声明，重启机器会丢作业"),
    "connection": Text("a lost connection may cost jobs, as it declares", "按其声明，连接中断会丢作业"),
    "repeat": Text(
        "after a worker's death a job may be done twice, as it declares",
        "按其声明，工作进程死亡后作业可能重做",
    ),
    "order": Text("it declares no order", "不保证顺序"),
    "hangs": Text("a process hung after {fault}: {found}", "{fault} 之后有进程卡住：{found}"),
    "stops": Text("nothing went on after {fault}: {found}", "{fault} 之后停止：{found}"),
    "lost": Text("{found} jobs were lost{after}", "丢了 {found} 个作业{after}"),
    "repeated": Text("{found} jobs came twice{after}", "{found} 个作业重复{after}"),
    "reordered": Text("{found} jobs came out of order{after}", "{found} 个作业乱序{after}"),
    "broken": Text("it broke what it declares{after}: {found}", "违反了自己的声明{after}：{found}"),
    "rate": Text("it carried {found}, not {needed}", "只达到 {found}，需要 {needed}"),
    "p99": Text("{found} of the jobs took longer than {needed}", "{found} 的作业超过了 {needed}"),
}
"""Why a candidate is ruled out."""
GAPS: Mapping[Gap, Text] = {
    "no run": Text("no run has {what}: measure it?", "没有运行测过{what}：要测吗？"),
    "no server": Text(
        "no run has {what}, and its server is not here", "没有运行测过{what}，本机没有其服务器"
    ),
    "settings": Text(
        "the lab does not measure {what} under settings of a server yet",
        "在服务器的这些设置下，还不能测{what}",
    ),
    "too few samples": Text("too few samples for a p99: measure longer", "样本太少，得不出 p99：请测更久"),
    "other programs": Text(
        "other programs used the machine, so the limit that it missed proves nothing: measure again",
        "测量时其他程序占用了机器，超限不能说明问题：请再测",
    ),
    "undecided": Text("the run could not decide about {what}", "该次运行无法断定{what}"),
}
LOAD = Text("this load", "这个负载")
KILLS: Mapping[Target, Text] = {
    "consumer": Text("a worker's death", "工作进程死亡"),
    "producer": Text("a producer's death", "生产者死亡"),
    "broker": Text("the broker's death", "服务器死亡"),
}
EVENTS: Mapping[Event, Text] = {
    "consumer": Text("a worker dies while it has a job", "工作进程拿着作业死亡"),
    "producer": Text("a producer dies", "生产者死亡"),
    "broker": Text("the broker dies and starts again", "服务器死亡后重新启动"),
    "reboot": Text("the machine of the broker is rebooted", "服务器所在机器重启"),
}
HARMS: Mapping[Harm, Text] = {
    "lose": Text("May a job be lost?", "作业可以丢吗？"),
    "repeat": Text("May a job be done twice?", "作业可以重做吗？"),
    "reorder": Text("May the jobs of a producer change their order?", "同一生产者的作业可以乱序吗？"),
}
SURVIVE = Text("Must a job survive that {event}?", "{event}时，作业必须保住吗？")
HOSTS = Text("On how many hosts do the processes run?", "进程分布在几台主机上？")
SERVERS = Text("Which servers may be used ({known}, none)?", "可以用哪些服务器（{known}，或 none）？")
PRODUCERS = Text("How many producers?", "有几个生产者？")
CONSUMERS = Text("How many workers?", "有几个工作进程？")
RATE = Text("How many jobs per second, in all (0: it does not matter)?", "每秒一共多少个作业（0：无所谓）？")
PAYLOAD = Text(
    "What is a job: bytes, dict, json, dataclass, ndarray:float64, file:PATH?",
    "一个作业是什么：bytes、dict、json、dataclass、ndarray:float64、file:PATH？",
)
WORK = Text("Work on each job, such as 5ms or cpu:5ms (0: none)?", "每个作业做多久，例如 5ms（0：没有）？")
SIZE = Text("How large is a job, such as 20KiB?", "一个作业多大，例如 20KiB？")
P99 = Text("Limit for p99, such as 50ms (0: none)?", "p99 上限，例如 50ms（0：没有）？")
MEASURE = Text("Measure it now, in about {seconds} s?", "现在测吗，约 {seconds} 秒？")

USE = Text("Use {backend}", "用 {backend}")
NONE_FITS = Text("No backend is known to fit.", "没有已知合适的后端。")
REPEAT_HINT = Text(
    "Nothing delivers exactly once through a death: allow repeats (--may repeat), and make the work safe to "
    "repeat.",
    "进程死亡时没有什么能恰好送达一次：允许重做（--may repeat），并让作业可以安全重做。",
)
SETTINGS = Text("settings", "设置")
SERVER_SETTINGS = Text("settings of {broker}", "{broker} 的设置")
EVIDENCE = Text("Evidence", "依据")
ASSUMED: Mapping[Assumption, Text] = {
    "reboot": Text(
        "a reboot: declared only; the lab kills the broker, and does not cut the power",
        "重启机器：仅为声明；实验室只杀死服务器，不断电",
    ),
    "reconnect": Text(
        "after the broker's death its clients get an error: your program must connect and send again",
        "服务器死亡后客户端会报错：你的程序必须重新连接并重发",
    ),
    "network": Text(
        "several hosts: measured on one host, so add your network",
        "多台主机：只在一台主机上测过，请加上你的网络延迟",
    ),
}
CLAIMS = Text("claims: ipclab claims {names}", "相关说法：ipclab claims {names}")
TIED = Text(
    "The p99 of the first {many} cannot be told apart; the one with fewer servers and settings is first.",
    "前 {many} 个的 p99 分不出高下；服务器和设置较少的排在前面。",
)
ALSO = Text("Also fit", "同样合适")
RULED_OUT = Text("Ruled out", "被排除")
UNKNOWN = Text("Not known", "尚不清楚")
BACKEND = Text("backend", "后端")
BECAUSE = Text("because", "原因")
SHOWN_BY = Text("shown by", "出处")
DECLARATION = Text("its declaration", "其声明")
MEASURE_BY = Text("To measure", "测量命令")
PROGRAM = Text("Program", "程序")
_AFTER = Text(" after {fault}", "（{fault} 之后）")


def why(one: Rejected, language: Language) -> str:
    """Return why a candidate is ruled out, in one line."""
    needed, found = _value(one.constraint, one.needed), _value(one.constraint, one.found)
    if one.constraint == "p99" and not isinstance(one.found, str):
        found = units.percent(one.found)
    after = _AFTER.of(language, fault=one.fault) if one.fault else ""
    return CONSTRAINTS[one.constraint].of(language, needed=needed, found=found, fault=one.fault, after=after)


def gap(gap_: Gap, target: Target | None, language: Language) -> str:
    """Return what is not known, in one line."""
    what = KILLS[target].of(language) if target else LOAD.of(language)
    return GAPS[gap_].of(language, what=what)


def load(measured: Load) -> str:
    """Return a measured load in one line, with its figures."""
    p50 = units.duration(measured.p50_ns) if measured.p50_ns is not None else units.WITHHELD
    p99 = units.duration(measured.p99_ns) if measured.p99_ns is not None else units.WITHHELD
    carried = units.percent(min(measured.carried, 1.0)) if measured.carried is not None else units.NOT_TOLD
    late = measured.slow_share
    slow = f"{units.percent(late)} slower than the limit, " if late is not None else ""
    if measured.void:
        slow = f"{measured.void} of {measured.repeats} repeats void beside other programs, else {slow}"
    shape = f"{measured.producers}→{measured.consumers}"
    smallest = f"{units.size(measured.smallest_bytes)} to " if measured.smallest_bytes else ""
    codec = f" as {measured.codec}" if measured.codec not in ("", measured.payload) else ""
    payload = f"{measured.payload}{codec} of " if measured.payload != PLAIN else ""
    work = f", work {measured.work}" if measured.work else ""
    return (
        f"{units.given_rate(measured.rate_per_s)}, {payload}{smallest}{units.size(measured.size_bytes)}, "
        f"{shape}{work}: "
        f"p50 {p50}, p99 {p99}, {slow}carried {carried}, {units.of(measured.repeats, 'repeat')}"
    )


def _value(constraint: Constraint, value: str | float) -> str:
    if isinstance(value, str):
        return value
    match constraint:
        case "rate":
            return units.rate(value)
        case "p99":
            return units.duration(value)
        case "size":
            return units.size(int(value))
        case _:
            return units.count(int(value))
