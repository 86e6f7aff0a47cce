"""Footnotes for the symbols in the table, and the summary of the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ipclab.report.columns import ONE_STEP, OVER_CORES, SHOWN_BY_LOAD
from ipclab.results import again, units, withheld
from ipclab.results.ranked import EXACT_UP_TO
from ipclab.results.result import Result
from ipclab.results.rows.build import unreceived
from ipclab.results.rows.row import Row
from ipclab.results.stats import separable
from ipclab.trial import workloads
from ipclab.trial.limit import BEHIND_SHARE
from ipclab.trial.record import TrialRecord

LARGE_BYTES = 16 * 1024
"""From this size on, what the lab's own loops take is stated beside the CPU of the workers."""
_EFFECTS_SHOWN = 4
"""How many side effects of a backend a note has; all are in the stored result."""
_LIMITS = ("maxmemory", "maxmemory-policy", "maxbytes")


def footnotes(result: Result, rows: Sequence[Row], cells: set[str]) -> list[str]:
    """Return the footnotes for the symbols in the table, one line each."""
    found = [
        *_ranks(result, rows),
        *_figures(rows),
        *_nothing(result, rows),
        *_behind(rows),
        *_skipped(rows),
        *_lost(result),
        *_dropped(result),
        *_side_effects(result),
        *_unaccounted(rows),
        *_beyond(rows),
        *_columns(rows, cells),
    ]
    if units.NOT_APPLICABLE in cells:
        found.append(
            f"{units.NOT_APPLICABLE}  does not apply, or no trial of the row reached this measurement"
        )
    if units.WITHHELD in cells:
        found += withheld.explain(result, rows)
    if units.NOT_TOLD in cells:
        found.append(f"{units.NOT_TOLD}  not known: the lab could not measure or observe it here")
    return [*found, *_negative(rows)]


def closing(rows: Sequence[Row], unavailable: int) -> str:
    """Return one sentence that summarises the verdict column."""
    many = Counter(row.verdict for row in rows)
    lossy = sum(_is_lossy(row) for row in rows)
    harmed = sum(_is_harmed(row) and not _is_lossy(row) for row in rows)
    spared = many["unsafe"] - lossy - harmed
    parts = [
        f"{units.of(many['kept'], 'row')} kept what {'it declares' if many['kept'] == 1 else 'they declare'}"
    ]
    if lossy:
        declare = "it declares" if lossy == 1 else "they declare"
        parts.append(f"{units.of(lossy, 'unsafe discipline')} lost updates, as {declare}")
    if harmed:
        declare = "it declares" if harmed == 1 else "they declare"
        parts.append(f"{units.of(harmed, 'unsafe discipline')} showed harm from a race, as {declare}")
    if spared:
        parts.append(
            f"{units.of(spared, 'unsafe discipline')} showed no harm in this run, which does not prove "
            f"{'it' if spared == 1 else 'them'} safe"
        )
    parts += [
        f"{many['broken']} BROKE what {'it declares' if many['broken'] == 1 else 'they declare'}"
        if many["broken"]
        else "",
        f"{many['hung']} hung" if many["hung"] else "",
        f"{many['failed']} failed" if many["failed"] else "",
        f"{many['unknown']} cannot be judged" if many["unknown"] else "",
        f"{unavailable} could not be measured" if unavailable else "",
    ]
    return f"Verdict: {'; '.join(part for part in parts if part)}."


def _is_lossy(row: Row) -> bool:
    return row.verdict == "unsafe" and row.updates is not None and row.updates.lost > 0


def _is_harmed(row: Row) -> bool:
    return row.verdict == "unsafe" and row.race is not None and row.race.observed + row.race.shown > 0


def _ranks(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    if any(row.rank for row in rows):
        yield (
            f"#  rank by {_ranked_by(rows)}: 1 + the number of rows of the group that were shown to be "
            f"better ({_test(rows)}, p < 0.05, and medians at least 5% apart); = marks a shared rank"
            f"{_resolved(rows)}"
        )
    if any(row.rank is None and row.peers for row in rows):
        least = next(n for n in range(2, 20) if separable(n, n))
        yield (
            f"#  {units.WITHHELD}  rank withheld: there are too few repeats to tell any two rows apart; "
            f"{least} are needed: {again.command(result, repeats=str(least))}"
        )


def _resolved(rows: Sequence[Row]) -> str:
    if all(row.resolves is None for row in rows):
        return ""
    return "; the percentage beside it is the smallest difference that these repeats could have shown"


def _test(rows: Sequence[Row]) -> str:
    repeats = max((len(row.speed.values) for row in rows if row.rank and row.speed), default=0)
    if repeats <= EXACT_UP_TO:
        return "exact Mann-Whitney test"
    return f"Mann-Whitney test, with the normal approximation above {EXACT_UP_TO} repeats"


def _ranked_by(rows: Sequence[Row]) -> str:
    names = {
        "goodput": any(row.goodput_per_s for row in rows),
        "updates": any(row.updates_per_s for row in rows),
        "operations": any(row.operations_per_s for row in rows),
        "round trips": any(row.round_trips_per_s and not row.goodput_per_s for row in rows),
        "p50": any(row.end_to_end and not row.goodput_per_s for row in rows),
    }
    return ", ".join(name for name, shown in names.items() if shown)


def _figures(rows: Sequence[Row]) -> Iterator[str]:
    if any(row.speed and row.speed.spread is not None for row in rows):
        yield "±  half the range of the repeats, relative to their median"
    if any(row.end_to_end for row in rows):
        until = "the end of the work on it" if any(row.work for row in rows) else "the receipt"
        yield (
            f"p50, p99 …  latency from the intended send time to {until}, in an open loop; the samples of "
            f"all repeats together"
        )
    ranges = (row.end_to_end.p99_range_ns for row in rows if row.end_to_end and row.end_to_end.p99_ns)
    if any(units.durations(*ends) != units.duration(ends[1]) for ends in ranges if ends):
        yield "p99 as a range  the lowest and the highest p99 among the repeats"
    if any(row.service for row in rows) and not any(row.goodput_per_s for row in rows):
        until = "the end of the work" if any(row.work for row in rows) else "the receipt"
        yield (
            f"service  latency from the actual send to {until}; late: sends that began more than 1 ms "
            "after the intended time"
        )
    if any(row.work for row in rows):
        yield (
            "to receipt  latency from the intended send time to the receipt, before the work; in work: the "
            "share of the window that the consumers spent in work"
        )
        yield (
            "failed/undone  how often the handler raised, and the messages that no handler has finished: a "
            "channel that can take a message back delivers it again"
        )
    if any(row.round_trip or row.update for row in rows):
        yield "round trips and updates are measured in a closed loop: a slow one delays the next one"


def _nothing(result: Result, rows: Sequence[Row]) -> Iterator[str]:
    if any(row.speed is not None and not row.speed.median for row in rows):
        yield (
            f"0 /s  nothing arrived within the measured window, only before or after it; measure again with "
            f"a longer --duration: {again.command(result, duration_s='')}"
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
            f"behind schedule: over {BEHIND_SHARE:.0%} of the sends began late or never in "
            f"{'; '.join(behind)}: the rate is close to the most that the backend can carry, or the machine "
            f"was busy; most of this latency is the wait to be sent"
        )


def _skipped(rows: Sequence[Row]) -> Iterator[str]:
    if skipped := sum(row.skipped_sends or 0 for row in rows):
        yield (
            f"skipped: {units.of(skipped, 'scheduled send')} never began, because the window was over; each "
            f"counts as slower than every send that began, and a percentile that falls among them is withheld"
        )


def _lost(result: Result) -> Iterator[str]:
    paced = [t for t in result.trials if workloads.of(t.spec).open_loop and t.outcome == "finished"]
    if lost := sum(map(unreceived, paced)):
        yield (
            f"lost: {units.of(lost, 'message')} of the open loop never arrived; each counts as slower than "
            f"every message that arrived, and a percentile that falls among them is withheld"
        )


def _dropped(result: Result) -> Iterator[str]:
    """Yield a note for each server that dropped items by its own settings; a longer run drops more."""
    by_kind: dict[str, Counter[str]] = {}
    lost: Counter[str] = Counter()
    excuse: Counter[str] = Counter()
    for trial in result.trials:
        if trial.broker is not None and trial.dropped:
            excuse[trial.broker.kind] += trial.drops_excuse or 0
            by_kind.setdefault(trial.broker.kind, Counter()).update(trial.dropped)
            lost[trial.broker.kind] += trial.ledger.lost if trial.ledger else 0
            lost[trial.broker.kind] += trial.safety.counts.get("lost", 0) if trial.safety else 0
    for kind, counted in by_kind.items():
        settings = next((broker.settings for broker in result.brokers if broker.kind == kind), {})
        why = [f"{name}={settings[name]}" for name in _LIMITS if name in settings]
        told = ", ".join(f"{name} {units.count(many)}" for name, many in sorted(counted.items()))
        more = excuse[kind] > counted.total()
        most = units.count(excuse[kind])
        at_most = f". The drops excuse {most} at most: one item may hold all messages under way"
        yield (
            f"dropped: the {kind} server itself dropped items while trials ran ({told}), as its settings "
            f"require when it is full{': ' if why else ''}{', '.join(why)}; these trials lost "
            f"{units.of(lost[kind], 'message')}{at_most if more else ''}"
        )


def _side_effects(result: Result) -> Iterator[str]:
    """Yield a note for each backend that changed the process of its trials, or left something there."""
    by_backend: dict[str, list[TrialRecord]] = {}
    for trial in result.trials:
        if trial.side_effects:
            by_backend.setdefault(str(trial.spec.backend), []).append(trial)
    for backend, trials in by_backend.items():
        lines = list(dict.fromkeys(line for trial in trials for line in trial.side_effects))
        more = f"; and {len(lines) - _EFFECTS_SHOWN} more" if len(lines) > _EFFECTS_SHOWN else ""
        yield (
            f"side effects: {backend} {'; '.join(lines[:_EFFECTS_SHOWN])}{more} (in "
            f"{units.of(len(trials), 'trial')}); all of it ended with its trial and reached no other"
        )


def _unaccounted(rows: Sequence[Row]) -> Iterator[str]:
    if unaccounted := sum(row.messages.unaccounted for row in rows if row.messages):
        yield (
            f"unaccounted: {units.of(unaccounted, 'confirmed message')} had not arrived when a trial was "
            f"ended early; nobody knows whether they were lost, so lost is {units.NOT_TOLD}"
        )


def _beyond(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the note on rows that exceeded the backlog limit to tell late messages from lost ones."""
    beyond = [row for row in rows if row.beyond_backlog]
    if beyond:
        named = "; ".join(f"{row.name} {row.mode}".rstrip() for row in beyond)
        most = max(row.beyond_backlog for row in beyond)
        yield (
            f"under way: up to {units.count(most)} messages more than the limit in {named}: the backlog was "
            f"full and nothing arrived, or later messages overtook earlier ones; the lab sent more messages "
            f"to tell late ones from lost ones"
        )


def _columns(rows: Sequence[Row], cells: set[str]) -> Iterator[str]:
    if len({row.confirm for row in rows if row.confirm}) > 1:
        yield (
            "confirm  what is known when send() returns: the message is buffered in the sending process, "
            "written to the pipe or socket, or confirmed by the broker; a weaker level is less work"
        )
    if polling := sorted({row.name for row in rows if row.polling}):
        yield f"polling: a waiting consumer of {', '.join(polling)} polls, which adds latency and CPU time"
    if len({row.window for row in rows if row.window}) > 1:
        yield (
            "window  how many messages are sent before they are confirmed together; a larger window is less "
            "work per message"
        )
    if any(row.worker_cpu_us_per_message for row in rows):
        yield (
            "CPU  CPU time in µs per message (a round trip is two messages) or per update: of all workers "
            "together, and of the broker"
        )
    if any(row.size_bytes and row.size_bytes >= LARGE_BYTES for row in rows if row.worker_cpu_us_per_message):
        yield (
            f"CPU  from {units.size(LARGE_BYTES)} on, much of the workers' CPU time can be the lab's own: it "
            f"writes each message once and compares each byte; python benchmarks/floor.py measures that cost "
            f"here"
        )
    if any(row.serialising_share for row in rows):
        yield (
            "serialising  share of the workers' CPU time that they spent encoding and decoding payloads, as "
            "measured in them; what a broker or a manager serialises is in its own CPU time"
        )
    if left := [f"{row.segments_left} of {row.name}" for row in rows if row.segments_left]:
        yield (
            f"shm  segments of shared memory that nobody received and unlinked: {', '.join(left)}; the lab "
            f"unlinked them"
        )
    if helped := [f"{row.name} {row.mode}".rstrip() for row in rows if row.helpers]:
        yield (
            f"CPU  the broker's CPU time includes helper processes that the backend does not name in "
            f"server_pids(), in {'; '.join(helped)}"
        )
    if any(row.updates and not row.race for row in rows):
        yield "lost updates  lost share of the confirmed updates (repeats that lost any / all repeats)"
    if any(row.race for row in rows):
        yield from _races(rows, cells)
    if any(row.safety_price for row in rows):
        what = "updates/s or operations/s" if any(row.operations_per_s for row in rows) else "updates/s"
        yield (
            f"price of safety  {what} of the same backend's fastest unsafe discipline, divided by those of "
            f"the row"
        )
    if any(row.over_cores for row in rows):
        yield (
            f"{OVER_CORES}  the trial had more busy processes than the machine has cores, so they took turns"
        )


def _races(rows: Sequence[Row], cells: set[str]) -> Iterator[str]:
    if any(row.updates for row in rows):
        yield "lost  lost share of the confirmed updates"
    yield "observed  repeats under load in which the race did harm / all [95% Wilson interval of the share]"
    yield (
        "possible  whether the race did harm when the lab forced two processes to interleave (trials with "
        "harm / trials)"
    )
    if SHOWN_BY_LOAD in cells:
        yield f"{SHOWN_BY_LOAD}  the race did harm under load, but not in a forced trial"
    if ONE_STEP in cells:
        yield (
            f"{ONE_STEP}  the race cannot be forced: the backend says that an operation is a single step, so "
            f"no other process can come between"
        )
    if any(row.race and row.race.out_of_reach for row in rows):
        yield (
            f"possible {units.NOT_TOLD}  the race could not be forced: the lab cannot hold this backend at "
            f"the moment at which another process can come between"
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
    named = ", ".join(f"{units.count(n)} of {name}" for name, n in many.items() if name and n)
    yield (
        f"negative: {units.of(total, 'latency', 'latencies')} below zero{f' ({named})' if named else ''}, "
        f"counted but in no percentile: a message was received before it was sent, or the clock is wrong"
    )
