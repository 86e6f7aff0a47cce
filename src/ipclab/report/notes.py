"""Footnotes for the symbols in the table, and the summary of the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ipclab.host.texts import tr
from ipclab.report.columns import ONE_STEP, OVER_CORES, SHOWN_BY_LOAD
from ipclab.report.notes_of_machines import of_machines
from ipclab.report.notes_of_trials import of_trials
from ipclab.results import again, units, withheld
from ipclab.results.ranked import EXACT_UP_TO
from ipclab.results.result import Result
from ipclab.results.rows.row import Row
from ipclab.results.stats import separable
from ipclab.trial.limit import BEHIND_SHARE

LARGE_BYTES = 16 * 1024
"""From this size on, what the lab's own loops take is stated beside the CPU of the workers."""


def footnotes(result: Result, rows: Sequence[Row], cells: set[str]) -> list[str]:
    """Return the footnotes for the symbols in the table, one line each."""
    found = [
        *_ranks(result, rows),
        *_figures(rows),
        *_nothing(result, rows),
        *_behind(rows),
        *of_machines(rows),
        *of_trials(result, rows),
        *_columns(rows, cells),
    ]
    if units.NOT_APPLICABLE in cells:
        found.append(
            tr(
                "{not_applicable}  does not apply, or no trial of the row reached this measurement",
                not_applicable=units.NOT_APPLICABLE,
            )
        )
    if units.WITHHELD in cells:
        found += withheld.explain(result, rows)
    if units.NOT_TOLD in cells:
        found.append(
            tr("{not_told}  not known: the lab could not measure or observe it here", not_told=units.NOT_TOLD)
        )
    return [*found, *_negative(rows)]


def closing(rows: Sequence[Row], unavailable: int) -> str:
    """Return one sentence that summarises the verdict column."""
    many = Counter(row.verdict for row in rows)
    lossy = sum(_is_lossy(row) for row in rows)
    harmed = sum(_is_harmed(row) and not _is_lossy(row) for row in rows)
    spared = many["unsafe"] - lossy - harmed
    parts = [
        tr(
            "{many} kept what {part}",
            many=units.of(many["kept"], "row"),
            part=tr("it declares") if many["kept"] == 1 else tr("they declare"),
        )
    ]
    if lossy:
        declare = tr("it declares") if lossy == 1 else tr("they declare")
        parts.append(
            tr(
                "{lossy} lost updates, as {declare}",
                lossy=units.of(lossy, "unsafe discipline"),
                declare=declare,
            )
        )
    if harmed:
        declare = tr("it declares") if harmed == 1 else tr("they declare")
        parts.append(
            tr(
                "{harmed} showed harm from a race, as {declare}",
                harmed=units.of(harmed, "unsafe discipline"),
                declare=declare,
            )
        )
    if spared:
        parts.append(
            tr(
                "{spared} showed no harm in this run, which does not prove {part} safe",
                spared=units.of(spared, "unsafe discipline"),
                part=tr("it") if spared == 1 else tr("them"),
            )
        )
    parts += [
        tr(
            "{many} BROKE what {part}",
            many=many["broken"],
            part=tr("it declares") if many["broken"] == 1 else tr("they declare"),
        )
        if many["broken"]
        else "",
        tr("{many} hung", many=many["hung"]) if many["hung"] else "",
        tr("{many} failed", many=many["failed"]) if many["failed"] else "",
        tr("{many} cannot be judged", many=many["unknown"]) if many["unknown"] else "",
        tr("{unavailable} could not be measured", unavailable=unavailable) if unavailable else "",
    ]
    return tr("Verdict: {parts}.", parts="; ".join(part for part in parts if part))


def _is_lossy(row: Row) -> bool:
    return row.verdict == "unsafe" and row.updates is not None and row.updates.lost > 0


def _is_harmed(row: Row) -> bool:
    if row.verdict != "unsafe":
        return False
    if row.race is not None:
        return row.race.observed + row.race.shown > 0
    seen = row.messages
    return seen is not None and bool(seen.lost + seen.duplicated + seen.corrupted + seen.unexpected)


def _ranks(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    if any(row.rank for row in rows):
        yield (
            tr(
                "#  rank by {rows}: 1 + the number of rows of the group that were shown "
                "to be better ({rows2}, p < 0.05, and medians at least 5% apart); = "
                "marks a shared rank{rows3}",
                rows=_ranked_by(rows),
                rows2=_test(rows),
                rows3=_resolved(rows),
            )
        )
    if any(row.rank is None and row.peers for row in rows):
        least = next(n for n in range(2, 20) if separable(n, n))
        yield (
            tr(
                "#  {withheld}  rank withheld: there are too few repeats to tell any two "
                "rows apart; {least} are needed: {result}",
                withheld=units.WITHHELD,
                least=least,
                result=again.command(result, repeats=str(least)),
            )
        )


def _resolved(rows: Sequence[Row]) -> str:
    if all(row.resolves is None for row in rows):
        return ""
    return tr("; the percentage beside it is the smallest difference that these repeats could have shown")


def _test(rows: Sequence[Row]) -> str:
    repeats = max((len(row.speed.values) for row in rows if row.rank and row.speed), default=0)
    if repeats <= EXACT_UP_TO:
        return tr("exact Mann-Whitney test")
    return tr(
        "Mann-Whitney test, with the normal approximation above {exact_up_to} repeats",
        exact_up_to=EXACT_UP_TO,
    )


def _ranked_by(rows: Sequence[Row]) -> str:
    names = {
        tr("goodput"): any(row.goodput_per_s for row in rows),
        tr("updates"): any(row.updates_per_s for row in rows),
        tr("operations"): any(row.operations_per_s for row in rows),
        tr("round trips"): any(row.round_trips_per_s and not row.goodput_per_s for row in rows),
        "p50": any(row.end_to_end and not row.goodput_per_s for row in rows),
    }
    return ", ".join(name for name, shown in names.items() if shown)


def _figures(rows: Sequence[Row]) -> Iterator[str]:
    if any(row.speed and row.speed.spread is not None for row in rows):
        yield tr("±  half the range of the repeats, relative to their median")
    if any(row.end_to_end for row in rows):
        until = tr("the end of the work on it") if any(row.work for row in rows) else tr("the receipt")
        yield (
            tr(
                "p50, p99 …  latency from the intended send time to {until}, in an open "
                "loop; the samples of all repeats together",
                until=until,
            )
        )
    ranges = (row.end_to_end.p99_range_ns for row in rows if row.end_to_end and row.end_to_end.p99_ns)
    if any(units.durations(*ends) != units.duration(ends[1]) for ends in ranges if ends):
        yield tr("p99 as a range  the lowest and the highest p99 among the repeats")
    if any(row.service for row in rows) and not any(row.goodput_per_s for row in rows):
        until = tr("the end of the work") if any(row.work for row in rows) else tr("the receipt")
        yield (
            tr(
                "service  latency from the actual send to {until}; late: sends that "
                "began more than 1 ms after the intended time",
                until=until,
            )
        )
    if any(row.work for row in rows):
        yield (
            tr(
                "to receipt  latency from the intended send time to the receipt, before "
                "the work; in work: the share of the window that the consumers spent in "
                "work"
            )
        )
        yield (
            tr(
                "failed/undone  how often the handler raised, and the messages that no "
                "handler has finished: a channel that can take a message back delivers "
                "it again"
            )
        )
    if any(row.round_trip or row.update for row in rows):
        yield tr("round trips and updates are measured in a closed loop: a slow one delays the next one")


def _nothing(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    if any(row.speed is not None and not row.speed.median for row in rows):
        yield (
            tr(
                "0 /s  nothing arrived within the measured window, only before or after "
                "it; measure again with a longer --duration: {result}",
                result=again.command(result, duration_s=""),
            )
        )


def _behind(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the note on rows whose senders fell behind schedule: latency includes that delay."""
    behind = [
        f"{row.name} {row.mode}".rstrip()
        for row in rows
        if row.send is not None
        and (row.late_sends or 0) + (row.skipped_sends or 0)
        > BEHIND_SHARE * (row.send.count + (row.skipped_sends or 0))
    ]
    if behind:
        yield (
            tr(
                "behind schedule: over {behind_share:.0%} of the sends began late or "
                "never in {behind}: the rate is close to the most that the backend can "
                "carry, or the machine was busy; most of this latency is the wait to be "
                "sent",
                behind_share=BEHIND_SHARE,
                behind="; ".join(behind),
            )
        )


def _columns(rows: Sequence[Row], cells: set[str]) -> Iterator[str]:
    if len({row.confirm for row in rows if row.confirm}) > 1:
        yield (
            tr(
                "confirm  what is known when send() returns: the message is buffered in "
                "the sending process, written to the pipe or socket, or confirmed by the "
                "broker; a weaker level is less work"
            )
        )
    if polling := sorted({row.name for row in rows if row.polling}):
        yield tr(
            "polling: a waiting consumer of {polling} polls, which adds latency and CPU time",
            polling=", ".join(polling),
        )
    if len({row.window for row in rows if row.window}) > 1:
        yield (
            tr(
                "window  how many messages are sent before they are confirmed together; "
                "a larger window is less work per message"
            )
        )
    if any(row.worker_cpu_us_per_message for row in rows):
        yield (
            tr(
                "CPU  CPU time in µs per message (a round trip is two messages) or per "
                "update: of all workers together, and of the broker"
            )
        )
    if any(row.size_bytes and row.size_bytes >= LARGE_BYTES for row in rows if row.worker_cpu_us_per_message):
        yield (
            tr(
                "CPU  from {large_bytes} on, much of the workers' CPU time can be the "
                "lab's own: it writes each message once and compares each byte; python "
                "benchmarks/floor.py measures that cost here",
                large_bytes=units.size(LARGE_BYTES),
            )
        )
    if any(row.serialising_share for row in rows):
        yield (
            tr(
                "serialising  share of the workers' CPU time that they spent encoding "
                "and decoding payloads, as measured in them, without the lab's own "
                "comparison of each payload; what a broker or a manager serialises is in "
                "its own CPU time"
            )
        )
    if any(row.copies_made is not None for row in rows):
        yield (
            tr(
                "copies  how often encoding and decoding copy an array, by the memory that they take; "
                "what the channel itself copies is not in it"
            )
        )
    if left := [
        tr("{segments_left} of {name}", segments_left=row.segments_left, name=row.name)
        for row in rows
        if row.segments_left
    ]:
        yield (
            tr(
                "shm  segments of shared memory that nobody received and unlinked: "
                "{left}; the lab unlinked them",
                left=", ".join(left),
            )
        )
    if helped := [f"{row.name} {row.mode}".rstrip() for row in rows if row.helpers]:
        yield (
            tr(
                "CPU  the broker's CPU time includes helper processes that the backend "
                "does not name in server_pids(), in {helped}",
                helped="; ".join(helped),
            )
        )
    if any(row.updates and not row.race for row in rows):
        yield tr("lost updates  lost share of the confirmed updates (repeats that lost any / all repeats)")
    if any(row.race for row in rows):
        yield from _races(rows, cells)
    if any(row.safety_price for row in rows):
        mixed = any(row.operations_per_s for row in rows)
        what = tr("updates/s or operations/s") if mixed else tr("updates/s")
        yield (
            tr(
                "price of safety  {what} of the same backend's fastest unsafe "
                "discipline, divided by those of the row",
                what=what,
            )
        )
    if any(row.over_cores for row in rows):
        yield (
            tr(
                "{over_cores}  the trial had more busy processes than the machine has "
                "cores, so they took turns",
                over_cores=OVER_CORES,
            )
        )


def _races(rows: Sequence[Row], cells: set[str]) -> Iterator[str]:
    if any(row.updates for row in rows):
        yield tr("lost  lost share of the confirmed updates")
    yield tr(
        "observed  repeats under load in which the race did harm / all [95% Wilson interval of the share]"
    )
    yield (
        tr(
            "possible  whether the race did harm when the lab forced two processes "
            "to interleave (trials with harm / trials)"
        )
    )
    if SHOWN_BY_LOAD in cells:
        yield tr(
            "{shown_by_load}  the race did harm under load, but not in a forced trial",
            shown_by_load=SHOWN_BY_LOAD,
        )
    if ONE_STEP in cells:
        yield (
            tr(
                "{one_step}  the race cannot be forced: the backend says that an "
                "operation is a single step, so no other process can come between",
                one_step=ONE_STEP,
            )
        )
    if any(row.race and row.race.out_of_reach for row in rows):
        yield (
            tr(
                "possible {not_told}  the race could not be forced: the lab cannot hold "
                "this backend at the moment at which another process can come between",
                not_told=units.NOT_TOLD,
            )
        )


def _negative(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the note on negative latencies. End-to-end and service time share their receipts."""
    receipts = sum(max((p.negative for p in (r.end_to_end, r.service) if p), default=0) for r in rows)
    many = {
        "": receipts + sum(p.negative for r in rows for p in (r.round_trip, r.update) if p),
        "send": sum(r.send.negative for r in rows if r.send),
        "confirm": sum(r.send_to_confirm.negative for r in rows if r.send_to_confirm),
    }
    if not (total := sum(many.values())):
        return
    named = ", ".join(
        tr("{n} of {name}", n=units.count(n), name=name) for name, n in many.items() if name and n
    )
    yield (
        tr(
            "negative: {total} below zero{part}, counted but in no percentile: a "
            "message was received before it was sent, or the clock is wrong",
            total=units.of(total, "latency", "latencies"),
            part=f" ({named})" if named else "",
        )
    )
