"""The effect of a task: one entry at its begin and one at its end, and the lab can hold it in between."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ipclab import tasks
from ipclab.trial.tasks.files import Gate, effects


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(tasks.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_an_effect_logs_its_begin_and_its_end(folder: Path) -> None:
    tasks.effect("a")
    begin, end = effects(folder)
    assert (begin.kind, begin.body, end.kind, end.body) == ("begin", "a", "end", "a")
    assert begin.pid == end.pid
    assert begin.at_ns <= end.at_ns


def test_a_task_that_is_held_has_begun_and_ends_only_when_the_gate_opens(folder: Path) -> None:
    gate = Gate(folder)
    gate.shut()
    thread = threading.Thread(target=tasks.effect, args=("a",))
    thread.start()
    while not effects(folder):
        pass
    assert [one.kind for one in effects(folder)] == ["begin"]
    gate.open()
    thread.join()
    assert [one.kind for one in effects(folder)] == ["begin", "end"]
    gate.close()


def test_a_line_that_is_only_half_written_is_left_for_later(folder: Path) -> None:
    (folder / tasks.LOG_NAME).write_text("begin a 1 10\nend a 1 2")
    assert [one.kind for one in effects(folder)] == ["begin"]


def test_an_effect_outside_of_a_worker_of_the_lab_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tasks.FOLDER_VARIABLE, raising=False)
    with pytest.raises(KeyError):
        tasks.effect("a")
