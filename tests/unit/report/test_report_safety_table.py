"""The safety tables in all their forms: what they say, and what they lead to."""

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len

from ipclab.backends.registry import Variant
from ipclab.faults.applicability import kind_of, reason
from ipclab.faults.spec import FaultSpec
from ipclab.report import csv as report_csv
from ipclab.report import json as report_json
from ipclab.report import markdown, table, terminal
from ipclab.report.formats import FORMATS, formatted
from ipclab.report.safety_table import safety_part
from ipclab.results.reasons import no_reason
from tests.support.safety import AT_LEAST_ONCE, AT_MOST_ONCE, DURABLE, TIMELINE, client, crash, order

GOLDEN = Path(__file__).with_name("safety_120.txt")
NO_BROKER = "there is no broker: the channel has no process of its own"
RABBITMQ = "rabbitmq:ack=manual,confirm=publisher,delivery=persistent,prefetch=10"
KILLED_BROKER = FaultSpec(action="kill", target="broker", moment="idle")
MOMENTS = ("idle", "busy", "mid-message")


def why_not(spec):
    return NO_BROKER if spec.backend.name == "queue" and spec.fault.target == "broker" else ""


@pytest.fixture
def run(make):
    trials = []

    def add(*about, **found):
        history = f"histories/{len(trials):04d}.jsonl.gz"
        trials.append(crash(*about, history=history, **found))

    for i in range(3):
        for moment in MOMENTS:
            fault, busy = f"kill consumer, {moment}", moment == "busy"
            lost = {"counts": {"lost": 12 + i}, "counterexample": TIMELINE} if busy else {}
            add("redis-list", fault, repeat=i, **lost)
            twice = {"duplicated": 3} if busy else {}
            add("redis-stream", fault, repeat=i, counts=twice, declared=AT_LEAST_ONCE, first_again_s=1.2)
            hung = {"consumer-1": "Queue.get (read lock)"} if moment == "idle" else {}
            add("queue", fault, repeat=i, hung=hung, declared=AT_MOST_ONCE | {"confirm": "buffered"})
            again = {"duplicated": 1} if moment == "mid-message" else {}
            add(RABBITMQ, fault, repeat=i, counts=again, declared=DURABLE)
        for name, more in (
            ("redis-list", {}),
            ("redis-list", {"settings": {"appendonly": "yes"}}),
            (RABBITMQ, {"declared": DURABLE}),
        ):
            gone = {"counts": {"lost": 997}} if not more else {}
            add(name, "kill broker, busy", repeat=i, first_again_s=7.2 + i, **gone, **more)
            ends = {"gave_up": {"producer-0": "ConnectionError: gone"}} if "settings" in more else {}
            add(name, "cut broker, busy", repeat=i, **ends, **more)
            full = {"lost": 44} if "declared" in more else {}
            broken = ["lost 44 confirmed messages"] if full else []
            add(name, "fill-memory broker, busy", repeat=i, counts=full, broken=broken, **more)
            refused = "redis at redis://h:1 was not started by the lab, so it is not harmed"
            add(name, "restart broker, busy", repeat=i, refused=refused, **more)
    for i in range(20):
        overtaken = {"anomalies": {"reordered": 2}, "counterexample": TIMELINE} if i < 3 else {}
        trials.append(order("queue", repeat=i, **overtaken))
        trials.append(order("manager-queue", repeat=i))
    trials += [order("queue", "forced", repeat=i, shown=True, anomalies={"reordered": 1}) for i in range(5)]
    for i in range(3):
        trials.append(client("retries", repeat=i, shown=True, finding="one incr() became 2"))
        trials.append(client("retries-set-right", repeat=i, shown=False, finding="one incr() was one"))
    return make.result(trials, experiment="crash", question="what is lost when something dies?")


def cell(shown, section, row, column):
    (found,) = (s for s in shown.sections if s.title == section)
    (line,) = (line for block in found.blocks for line in block.lines if line.cells[0] == row)
    (place,) = (i for i, head in enumerate(found.heads) if head.full == column)
    return line.cells[place], line.words[place]


def test_every_history_is_named_with_the_command_that_checks_it_from_here(run):
    shown = table.make(run, why_not)
    kept = [found.history for found in shown.evidence if found.history]
    assert kept
    printed = terminal.text(shown, width=60, folder="results/crash/a b").splitlines()
    commands = [line.strip() for line in printed if line.startswith("   ipclab check ")]
    assert set(commands) <= {f"ipclab check 'results/crash/a b/{history}'" for history in kept}
    assert commands
    text = markdown.draw(shown, "results/crash/1")
    for history in kept:
        assert f"](results/crash/1/{history})" in text
        assert f"`ipclab check results/crash/1/{history}`" in text
        assert f"]({history})" not in text


def test_the_safety_tables_at_120_columns_look_like_this(run):
    assert terminal.text(table.make(run, why_not), width=120) == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_no_line_is_wider_than_the_terminal(run, width):
    assert max(map(cell_len, terminal.text(table.make(run, why_not), width=width).splitlines())) <= width


def test_a_timeline_is_never_wrapped(make):
    lane = "producer-0  ├ " + "─" * 90 + " ┤"
    result = make.result([crash(counts={"lost": 1}, counterexample=lane)])
    assert lane in terminal.text(table.make(result), width=60).splitlines()


def test_a_word_is_broken_only_where_it_is_too_wide_by_itself(make):
    trials = [crash(fault=f"kill consumer, {m}", counts={"lost": 1}) for m in ("idle", "mid-message")]
    result = make.result([crash(fault="kill consumer, busy"), *trials])
    text = terminal.text(table.make(result), width=41)
    assert "idle, mid-message" in " ".join(text.split())


def test_each_target_has_a_section_with_the_actions_that_it_suffered(run):
    shown = table.make(run, why_not)
    assert [(s.title, [h.full for h in s.heads][1:]) for s in shown.sections[:2]] == [
        ("Faults of a consumer", ["kill"]),
        ("Faults of the broker", ["kill", "restart", "cut", "fill-memory"]),
    ]
    assert [s.title for s in shown.sections[2:]] == ["Order", "Clients"]


def test_rows_stand_in_the_groups_of_the_comparison_the_strongest_first(run):
    assert [(b.title, [line.cells[0] for line in b.lines]) for b in table.make(run).sections[0].blocks] == [
        ("At least once, survives a broker restart", [RABBITMQ.replace(":", " ").replace(",", " ")]),
        ("At least once, while the broker lives", ["redis-stream"]),
        ("At most once: a crash may cost messages", ["redis-list", "queue"]),
    ]


def test_a_declared_loss_and_a_broken_guarantee_look_different(run):
    shown = table.make(run, why_not)
    row = RABBITMQ.replace(":", " ").replace(",", " ")
    text, word = cell(shown, "Faults of the broker", row, "fill-memory")
    assert (text[:16], word) == ("BROKEN: lost 44 ", "broken")
    text, word = cell(shown, "Faults of the broker", "redis-list", "kill")
    assert (text[:9], word) == ("lost 997 ", "unsafe")
    assert cell(shown, "Faults of the broker", "redis-list", "cut") == ("kept 3/3", "kept")
    coloured = terminal.text(shown, colour=True)
    assert "\x1b[1;31mBROKEN" in coloured
    assert "\x1b[33mlost 997" in coloured
    assert "\x1b[32mkept" in coloured
    assert "\x1b" not in terminal.text(shown)


def test_what_does_not_apply_says_why_and_each_reason_once(run):
    shown = table.make(run, why_not)
    for action in ("kill", "restart", "cut", "fill-memory"):
        text, _ = cell(shown, "Faults of the broker", "queue", action)
        assert f"{text}  {NO_BROKER}" in shown.footnotes
    text, word = cell(shown, "Faults of the broker", "redis-list", "restart")
    assert word is None
    assert sum("was not started by the lab" in note for note in shown.footnotes) == 1
    assert any(note.startswith(f"{text}  redis at") for note in shown.footnotes)


def test_a_row_that_a_target_cannot_have_is_left_out_unless_somebody_says_why(run):
    def rows(shown):
        return [line.cells[0] for block in shown.sections[1].blocks for line in block.lines]

    assert "queue" in rows(table.make(run, why_not))
    assert "queue" not in rows(table.make(run, no_reason))


def test_why_a_fault_does_not_apply_is_known_of_the_backends_that_are_installed(run):
    text, _ = cell(table.make(run), "Faults of the broker", "queue", "kill")
    assert f"{text}  {reason(KILLED_BROKER, kind_of(Variant('queue')))}" in table.make(run).footnotes


def test_a_moment_that_does_not_apply_is_named_beside_the_others():
    def no_middle(spec):
        return "it has no middle" if spec.fault.moment == "mid-message" else ""

    trials = [crash("queue", "kill consumer, busy"), crash("redis-list", "kill consumer, busy")]
    part = safety_part([*trials, crash("redis-list", "kill consumer, mid-message")], no_middle)
    (line, other) = part.sections[0].blocks[0].lines
    assert line.cells[1] == "kept 1/1\nmid-message –(a)"
    assert other.cells[1] == "kept 2/2"
    assert "–(a)  it has no middle" in part.footnotes


def test_every_mark_leads_to_evidence_and_every_evidence_has_a_mark(run):
    shown = table.make(run, why_not)
    cells = [c for s in shown.sections for b in s.blocks for line in b.lines for c in line.cells]
    marks = {int(m.translate(SUPERSCRIPT)) for c in cells for m in re.findall("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", c)}
    assert marks == {found.number for found in shown.evidence}
    assert [found.number for found in shown.evidence] == list(range(1, len(shown.evidence) + 1))


SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def test_marks_go_on_from_those_of_measured_rows(make):
    lost = make.ledger(attempted=9, confirmed=9, owed=9, lost=3, broken=["lost 3 confirmed messages"])
    result = make.result([make.stream("queue", 1.0, ledger=lost), crash(counts={"lost": 1})])
    shown = table.make(result)
    assert shown.sections[0].blocks[0].lines[0].cells[-1] == "broken¹"
    assert shown.sections[1].blocks[0].lines[0].cells[-1].endswith("²")
    assert shown.closing.startswith(
        "Verdict: 0 rows kept what they declare; 1 BROKE what it declares. Safety: "
    )


def test_the_smallest_counterexample_is_drawn_and_others_of_its_kind_refer_to_it(make):
    long = f"{TIMELINE}\nconsumer-0  ├ receive → 2 ─┤"
    trials = [
        crash(fault="kill consumer, busy", counts={"lost": 1}, counterexample=long, history="h/1"),
        crash(fault="cut consumer, busy", counts={"lost": 2}, counterexample=TIMELINE, history="h/2"),
        crash(fault="cut consumer, busy", counts={"lost": 9}, counterexample=long, repeat=1, history="h/3"),
    ]
    first, second = table.make(make.result(trials)).evidence
    assert (first.timeline, first.like, first.history) == ("", 2, "h/1")
    assert (second.timeline, second.like, second.history) == (TIMELINE, None, "h/2")
    assert second.finding == "lost 2 (0.20%)"


def test_evidence_names_who_hung_and_who_ended(make):
    found = {"hung": {"consumer-1": "Queue.get (read lock)"}, "gave_up": {"producer-0": "EOFError: x"}}
    evidence = table.make(make.result([crash(counts={"undelivered": 7}, **found)])).evidence
    assert [e.finding for e in evidence] == [
        "undelivered 7; consumer-1 hung in Queue.get (read lock); producer-0 ended with EOFError: x"
    ]


def test_the_terminal_shows_some_evidence_the_broken_first_and_table_md_all(make):
    trials = [crash(f"b{i}", counts={"lost": 1}) for i in range(terminal.EVIDENCE_SHOWN + 3)]
    trials.append(crash("worst", counts={"lost": 1}, broken=["lost 1 confirmed message"]))
    shown = table.make(make.result(trials))
    text = terminal.text(shown)
    assert "… and 4 more: table.md, in the folder of the run, has all of them" in text
    assert f"{len(trials)}  worst · kill consumer, busy, repeat 1: BROKEN: lost 1 confirmed message" in text
    assert all(f"**{n}** " in markdown.draw(shown) for n in range(1, len(trials) + 1))


def test_markdown_links_each_mark_to_its_history_and_fences_timelines(run):
    text = markdown.draw(table.make(run, why_not))
    assert "lost 14 (1.4%) 3/9 busy[³](histories/0004.jsonl.gz)" in text
    assert f"\n```text\n{TIMELINE}\n```\n" in text
    assert "twice 3 3/9 busy[²](histories/0005.jsonl.gz)<br>again after 1.2 s" in text
    assert "\n> When a consumer ends or loses its connection, messages that it has not acknowledged" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(re.fullmatch(r"\|( .* \|)+", line) for line in rows)


def test_every_word_in_the_cells_is_explained_and_no_other(make):
    for found, word in (
        ({"counts": {"lost": 1}}, "lost  "),
        ({"counts": {"undelivered": 1}}, "undelivered  "),
        ({"counts": {"duplicated": 1}}, "twice  "),
        ({"counts": {"reordered": 1}}, "reordered  "),
        ({}, "kept  "),
        ({"broken": ["x"]}, "BROKEN  "),
        ({"hung": {"a": "b"}}, "hung  "),
        ({"gave_up": {"a": "b"}}, "ends  "),
        ({"first_again_s": None}, "none came after it  "),
        ({"first_again_s": 5.0, "counts": {"duplicated": 1}}, "again after  "),
    ):
        notes = table.make(make.result([crash(**found)])).footnotes
        assert any(note.startswith(word) for note in notes), word
        others = {"lost  ", "kept  ", "BROKEN  ", "hung  ", "ends  ", "none came", "again after  "} - {word}
        assert not any(note.startswith(other) for note in notes for other in others - {word[:9]})


def test_a_loss_that_is_not_decided_is_explained(make):
    found = {"counts": {"lost": 1}, "verdict": "unknown"}
    for trials, explained in (([crash(**found)], True), ([crash(counts={"lost": 1})], False)):
        notes = table.make(make.result(trials)).footnotes
        assert any(note.startswith("perhaps lost  ") for note in notes) is explained


def test_an_undecided_cell_says_what_was_kept_in_its_other_trials(make):
    open_ = crash(fault="kill consumer, idle", counts={"lost": 1}, verdict="unknown")
    kept = [crash(fault=f"kill consumer, {moment}") for moment in ("busy", "working")]
    lost = crash(fault="kill consumer, idle", counts={"lost": 1})
    for trials, part in (([open_, *kept], "kept 2/3"), ([open_], None), ([lost, *kept], None)):
        shown = markdown.render(make.result(trials))
        assert re.findall(r"kept \d/\d", shown) == ([part] if part else [])


def test_the_closing_sentence_counts_each_cell_once(run):
    assert table.make(run, why_not).closing == (
        "Safety: 29 cells (one fault at one moment, or one scenario): 16 kept everything; 2 lost messages, "
        "as declared; 5 showed another effect that is declared; 1 BROKE a declared guarantee; 1 hung; "
        "1 stopped after the fault; 3 were not carried out."
    )


def test_a_result_without_safety_trials_is_as_it_was(make):
    part = safety_part(make.result([make.stream("pipe", 1.0)]).trials)
    assert (part.sections, part.evidence, part.footnotes, part.closing) == ((), (), (), "")


def test_json_has_the_cells_and_csv_a_line_for_each(run):
    printed = json.loads(report_json.render(run))
    lines = list(csv.DictReader(io.StringIO(report_csv.render(run))))
    assert printed["rows"] == []
    assert len(printed["cells"]) == len(lines) == 29
    assert msgspec.json.decode(report_json.render(run), type=report_json.Report).trials == run.trials
    first = next(c for c in lines if c["row"] == "redis-list" and c["moment"] == "busy")
    assert (first["action"], first["lost"], first["findings"]) == ("kill", "14", "lost=3")
    assert "goodput_per_s_median" not in first
    assert first["histories"].count("; ") == 2


def test_csv_of_rows_and_cells_has_the_columns_of_both(make):
    text = report_csv.render(make.result([make.stream("pipe", 1.0), crash()]))
    row, other = csv.DictReader(io.StringIO(text))
    assert (row["backend"], row["goodput_per_s_median"], row["trials"]) == ("pipe", "1.0", "")
    assert (other["backend"], other["goodput_per_s_median"], other["trials"]) == ("redis-list", "", "1")


def test_csv_and_json_have_what_the_order_and_client_tables_have(make):
    trials = [order(repeat=i, anomalies={"reordered": i}) for i in range(3)]
    trials += [client(repeat=i, shown=i > 0, finding=f"{'two' if i else 'one'} came") for i in range(3)]
    result = make.result(trials)
    of_order, of_client = csv.DictReader(io.StringIO(report_csv.render(result)))
    assert (of_order["attempted"], of_order["overtaken"], of_order["finding"]) == ("3000", "3", "")
    assert of_client["finding"] == "two came"
    cells = json.loads(report_json.render(result))["cells"]
    assert [(c["attempted"], c["overtaken"]) for c in cells[:1]] == [(3000, 3)]
    assert cells[1]["finding"] == cell(table.make(result), "Clients", "retries", "finding")[0]


def test_a_client_of_which_every_trial_was_refused_found_nothing(make):
    result = make.result([client(refused="not ours", verdict="unknown")])
    assert json.loads(report_json.render(result))["cells"][0]["finding"] == ""


def test_a_report_that_was_written_before_these_were_told_can_be_read(run):
    printed = json.loads(report_json.render(run))
    for found in printed["cells"]:
        del found["attempted"], found["overtaken"], found["finding"]
    assert msgspec.json.decode(json.dumps(printed), type=report_json.Report).trials == run.trials


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_whole_lines(run, name):
    text = formatted(run, name)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


# Order


def test_order_is_told_with_the_interval_that_the_trials_bear(run):
    shown = table.make(run)
    assert cell(shown, "Order", "queue", "order of each producer") == ("kept 20/20 [83–100%]", "kept")
    text, word = cell(shown, "Order", "queue", "real-time order under stress")
    assert text.startswith("overtaken 6 of 20 000 messages, trials 3/20 [5–37%]")
    assert word == "unsafe"
    text, _ = cell(shown, "Order", "manager-queue", "real-time order under stress")
    assert text == "overtaken 0 of 20 000 messages, trials 0/20 [0–17%]"
    assert cell(shown, "Order", "queue", "real-time order, forced")[0].startswith("shown 5/5")


def test_a_library_as_it_comes_stands_beside_its_fix(run):
    (found,) = (s for s in table.make(run).sections if s.title == "Clients")
    assert [line.cells[0] for line in found.blocks[0].lines] == ["retries", "retries-set-right"]
    assert cell(table.make(run), "Clients", "retries", "shown")[0].startswith("3/3")
    assert cell(table.make(run), "Clients", "retries", "finding")[0] == "one incr() became 2"
    assert cell(table.make(run), "Clients", "retries-set-right", "shown") == ("0/3", "kept")


def test_a_client_trial_that_was_refused_says_why(make):
    shown = table.make(make.result([client(refused="not ours", verdict="unknown")]))
    assert cell(shown, "Clients", "retries", "shown") == ("–(a)", None)
    assert "–(a)  not ours" in shown.footnotes


def test_a_process_that_was_slow_is_no_hang_in_the_table_and_the_word_is_explained(make):
    slow = {"consumer-1": "Slow: it was still at work, in poll, when its time was up"}
    text = markdown.render(make.result([crash("queue", gave_up=slow)]))
    assert "ends: Slow" in text
    assert "a process still ran long after its time was over" in " ".join(text.split())
    assert "hung in" not in text
