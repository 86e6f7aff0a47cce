"""Stacks as data: frames, names, and functions known by their code."""

from __future__ import annotations

import faulthandler
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ipclab.host import stacks
from ipclab.host.stacks import Frame, Mark, call_at, qualified


def dumped(call: Callable[[Callable[[], None]], None]) -> str:
    """Return what faulthandler writes from within ``call``."""
    with tempfile.TemporaryFile("w+") as file:
        call(lambda: faulthandler.dump_traceback(file))
        file.seek(0)
        return file.read()


class Line:
    def again(self, dump: Callable[[], None]) -> None:
        dump()


def again(dump: Callable[[], None]) -> None:
    dump()


def test_a_mark_finds_its_function_and_no_other_of_that_name() -> None:
    of_line = stacks.main_frames(dumped(Line().again))
    of_module = stacks.main_frames(dumped(again))

    assert any(Mark.of(Line.again).fits(frame) for frame in of_line)
    assert not any(Mark.of(Line.again).fits(frame) for frame in of_module)
    assert any(Mark.of(again).fits(frame) for frame in of_module)


def test_only_the_stack_of_the_thread_that_was_asked_is_the_main_one() -> None:
    dump = (
        'Thread 0x1 (most recent call first):\n  File "/a.py", line 7 in get\n\n'
        'Current thread 0x2 (most recent call first):\n  File "/b.py", line 3 in wait\n'
    )
    assert stacks.main_frames(dump) == [Frame("/b.py", 3, "wait")]
    assert stacks.is_whole(dump)
    assert [frames[0].function for frames in stacks.threads(dump)] == ["get", "wait"]


def test_a_line_is_told_by_the_innermost_function_and_the_class(tmp_path: Path) -> None:
    source = tmp_path / "some.py"
    source.write_text(
        "class A:\n    def f(self):\n        def g():\n            pass\n        return g\n\nx = 1\n"
    )

    assert [qualified(str(source), line) for line in (2, 4, 5, 7)] == ["A.f", "A.g", "A.f", ""]


@pytest.mark.parametrize(
    ("line", "called"),
    [
        ("time.sleep(0.6)", "time.sleep"),
        ("    return bytes(self._socket.recv(4))", "self._socket.recv"),
        ("print(int(3))", "print"),
        ("x = 1", ""),
        ("connect()().go()", ""),
    ],
)
def test_the_call_of_a_line_is_told(tmp_path: Path, line: str, called: str) -> None:
    source = tmp_path / "some.py"
    source.write_text(f"def f(self):\n    pass\n    {line.strip()}\n")

    assert call_at(str(source), 3) == called


def test_a_source_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")

    assert qualified(str(tmp_path / "missing.py"), 1) == ""
    assert call_at(str(broken), 1) == ""
