"""Counterexamples as text and as a page: every operation is there, in its lane, within the width."""

from __future__ import annotations

import dataclasses
import itertools
import random
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from ipclab.checks import check
from ipclab.checks.page import draw_page
from ipclab.checks.timeline import WIDTH, draw
from ipclab.history import Fault, Header, History, Operation
from tests.support import histories


def op(process: Any, f: str, value: Any, start: int, end: int | None, outcome: Any = "ok") -> Operation:
    return Operation(process=process, f=f, value=value, start_ns=start, end_ns=end, outcome=outcome)


STALE = History.of(
    [op(1, "write", 1, 0, 10), op(2, "write", 2, 20, 30), op(1, "read", 1, 40, 50)],
    faults=[
        Fault(f="pause", value="broker", start_ns=12, end_ns=14),
        Fault(f="kill", value="<&>", start_ns=35, end_ns=35),
    ],
    header=Header(ipclab_history=1, model="register", names={"2": "writer-2"}),
)


def drawn(history: History) -> list[str]:
    found = check(history).counterexample
    assert found is not None
    return draw(history, found).splitlines()


def test_a_timeline_has_a_lane_a_process_and_one_for_faults() -> None:
    assert drawn(STALE)[:3] == [
        "process 1  ├ write 1 ─┤              ├─ read → 1 ┤",
        "writer-2                ├ write 2 ─┤",
        "fault                  ✕            ✕",
    ]


def test_operations_and_faults_are_listed_with_their_times() -> None:
    listed = drawn(STALE)[3:]
    assert listed[2] == "   3     0.000040 ms –    0.000050 ms  process 1: read → 1"
    assert listed[3] == '   ✕     0.000012 ms –    0.000014 ms  fault: pause "broker"'


def test_an_operation_without_an_end_is_dotted() -> None:
    history = History.of(
        [op(1, "enqueue", 1, 0, None, "open"), op(2, "dequeue", 1, 5, 6), op(2, "dequeue", 1, 8, 9)], "queue"
    )
    lane, _, listed, *_ = drawn(history)
    assert lane.startswith("process 1  ├┄")
    assert lane.endswith("┄")
    assert "never ended" in listed


@pytest.mark.parametrize("model", ["register", "queue", "counter", "lock"])
def test_whatever_is_found_fits_the_width_and_shows_every_operation(model: str) -> None:
    shown = 0
    for seed in range(400):
        history = getattr(histories, model)(random.Random(seed))
        found = check(history).counterexample
        if found is None:
            continue
        shown += 1
        lines = draw(history, found).splitlines()
        assert max(len(line) for line in lines) <= WIDTH
        assert len({op.process for op in found.operations}) + len(found.operations) == len(lines)
        for lane in lines[: -len(found.operations)]:
            assert lane.count("├") >= 1
    assert shown > 20


def test_long_names_and_values_are_cut_to_the_width() -> None:
    text = "x" * 300
    long = [op(f"{text}{i}", "enqueue", f"{text}{i}", 10 * i, 10 * i + 5) for i in range(2)]
    long += [op("c", "dequeue", f"{text}{i}", 100 - 20 * i, 105 - 20 * i) for i in range(2)]
    lines = drawn(History.of(sorted(long, key=lambda o: o.start_ns), "queue"))
    assert len(lines) == 7
    assert max(len(line) for line in lines) <= WIDTH


class _Page(HTMLParser):
    """Collects what the page refers to, and its lanes and bars."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.references.extend(value or "" for name, value in attrs if name in ("src", "href", "xlink:href"))

    def bars(self, kind: str) -> int:
        return sum(tag == "rect" and kind in (a.get("class") or "").split() for tag, a in self.tags)


def read_page(history: History) -> tuple[str, _Page]:
    text = draw_page(history, check(history))
    found = _Page()
    found.feed(text)
    return text, found


def test_a_page_refers_to_nothing_outside_of_itself() -> None:
    text, found = read_page(STALE)
    assert found.references == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in found.tags}
    assert "@import" not in text
    assert "url(" not in text


def test_a_page_has_a_lane_a_process_and_marks_what_clashes() -> None:
    text, found = read_page(STALE)
    assert sum(tag == "line" and a.get("class") == "lane" for tag, a in found.tags) == 3
    assert (found.bars("clash"), found.bars("op"), found.bars("fault")) == (3, 0, 2)
    assert "&lt;&amp;&gt;" in text
    assert "<&>" not in text


def test_the_picture_of_a_page_is_well_formed() -> None:
    text, _ = read_page(STALE)
    picture = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    assert picture.get("role") == "group"


def test_a_page_opens_on_the_first_operation_that_clashes() -> None:
    _, found = read_page(STALE)
    first = [place for place, (_, attributes) in enumerate(found.tags) if "autofocus" in attributes]
    assert len(first) == 1
    bars = [(tag, a.get("class")) for tag, a in found.tags[first[0] : first[0] + 3]]
    assert bars == [("g", None), ("title", None), ("rect", "clash")]


def test_the_times_of_events_stand_above_them_and_not_over_one_another() -> None:
    _, found = read_page(STALE)
    places = [int(a["x"] or 0) for tag, a in found.tags if tag == "text" and a.get("class") == "time"]
    assert places == sorted(places)
    assert all(after - before >= 84 for before, after in itertools.pairwise(places))
    text, _ = read_page(STALE)
    assert ">0.000 ms</text>" in text


def test_a_page_names_the_backend_beside_its_title() -> None:
    header = msgspec.structs.replace(STALE.header, title="stale read", backend="redis-replica")
    text = draw_page(dataclasses.replace(STALE, header=header), check(STALE))
    assert '<h1 class="invalid">invalid: stale read · redis-replica</h1>' in text
    assert "<th>backend</th><td>redis-replica</td>" in text


def test_a_valid_history_is_drawn_too_up_to_a_limit() -> None:
    many = [op(1, "write", n, 10 * n, 10 * n + 5) for n in range(1000)]
    text, found = read_page(History.of(many, "register"))
    assert found.bars("op") == 400
    assert "400 of 1000 operations are shown" in text


def test_an_empty_history_makes_a_page() -> None:
    assert "<svg" in draw_page(History.of([], "register"), check(History.of([], "register")))


def test_no_text_of_a_history_is_markup_or_steers_a_terminal_in_the_page() -> None:
    nasty = "<script>alert(1)</script>\x1b[2J\x07\x9b31m\u202e"
    history = History.of(
        [
            op(1, "write", nasty, 0, 10),
            op(2, "write", "new", 20, 30),
            op(nasty, "read", nasty, 40, 50),
        ],
        faults=[Fault(f="pause", value=nasty, start_ns=12, end_ns=14)],
        header=Header(ipclab_history=1, model="register", title=nasty, backend=nasty, names={"1": nasty}),
    )
    text, _ = read_page(history)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert r"\x1b[2J\x07\x9b31m\u202e" in text
    assert not [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
