"""The recording of ``make demo``: drawn from real output, and moving without a script."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from types import ModuleType

import pytest

from tests.support.documents import CHECKOUT

CAST = CHECKOUT / "docs" / "run" / "demo.cast"
PICTURE = CHECKOUT / "docs" / "images" / "demo.svg"


@pytest.fixture(scope="module")
def recorder() -> ModuleType:
    """The program that records and draws."""
    spec = importlib.util.spec_from_file_location("record_demo", CHECKOUT / "docs" / "record_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["record_demo"] = module
    spec.loader.exec_module(module)
    return module


def lines(screen: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...]) -> list[str]:
    return ["".join(text for text, _ in line) for line in screen]


def cast(*events: tuple[float, str], columns: int = 20, rows: int = 3) -> str:
    head = {"version": 2, "width": columns, "height": rows, "command": "demo"}
    return "\n".join(json.dumps(one) for one in (head, *([at, "o", text] for at, text in events)))


def test_the_picture_is_drawn_from_the_recording(recorder: ModuleType) -> None:
    text = CAST.read_text(encoding="utf-8")
    command = json.loads(text.splitlines()[0])["command"]
    drawn = recorder.draw(text, f"The last seconds of {command}")
    assert PICTURE.read_text(encoding="utf-8") == drawn, "run: python docs/record_demo.py draw …"


def test_the_recording_ends_as_a_run_does() -> None:
    events = [json.loads(line) for line in CAST.read_text(encoding="utf-8").splitlines()[1:]]
    said = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", "".join(event[2] for event in events))
    assert re.search(r"Verdict: \d+ rows kept what they declare", said)
    assert "open it in a browser: results/comparison/" in said


def test_the_picture_needs_nothing_else_and_rests_for_whoever_wants_no_motion() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "url(" not in text
    assert re.findall(r'href="(?!#)', text) == []
    assert "prefers-reduced-motion" in text
    assert re.search(r'<title id="title">[^<]+</title>', text)


def test_a_bar_is_drawn_over_and_long_output_scrolls(recorder: ModuleType) -> None:
    screen = recorder.Screen(columns=10, rows=2)
    screen.feed("bar 1\rbar 2\n")
    assert lines(screen.shown()) == ["bar 2", ""]
    screen.feed("\x1b[1A\x1b[2Kone\r\ntwo\r\nthree")
    assert lines(screen.shown()) == ["two", "three"]


def test_styles_become_classes_and_text_is_escaped(recorder: ModuleType) -> None:
    svg = recorder.draw(cast((0.0, "\x1b[1;31ma<b\x1b[0m &")), "x & y")
    assert '<tspan x="0" class="b c1">a&lt;b</tspan>' in svg
    assert '<title id="title">x &amp; y</title>' in svg


def test_only_the_last_seconds_are_drawn_and_the_last_screen_is_among_them(recorder: ModuleType) -> None:
    shown = recorder.screens(cast((0.0, "early\r\n"), (90.0, "late"), (99.9, "r"), (100.0, "!")))
    assert [lines(screen)[-1] for _, screen in shown] == ["late", "later!"]
    assert shown[0][0] == 0.0
